//go:build integration

package sink

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// versity is a bucket of versitygw, an S3-compatible store.
type versity struct {
	scriptedS3
	own aws.Config
}

func (v versity) Open(t *testing.T, scenario sinktest.Scenario) sinktest.Receiver {
	client := v.client()
	bucket := resourceName(t)
	if scenario != sinktest.Missing {
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
	}
	credentials := map[string]string{"access_key_id": "test", "secret_access_key": "test"}
	if scenario == sinktest.BadCredentials {
		credentials["secret_access_key"] = "another"
	}
	s, err := build(s3Destination(t, map[string]string{
		"bucket": bucket, "region": v.own.Region, "endpoint": scripted(t, scenario, nil, forward(t, *v.own.BaseEndpoint, http.DefaultTransport)),
		"bucket_owner": "test", "layout": string(v.layout),
	}), asJSON(t, credentials), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	return sinktest.Receiver{Sink: s, Held: func(t *testing.T) map[string]int { return inBucket(t, client, bucket) }}
}

func (v versity) client() *s3.Client {
	return s3.NewFromConfig(v.own, func(o *s3.Options) { o.UsePathStyle = true })
}

func (versity) Deviations() []sinktest.Deviation {
	return []sinktest.Deviation{
		{Scenario: sinktest.NoPermission, Reason: "users of another right are made by its own API only"},
		{Scenario: sinktest.Throttled, Reason: "versitygw never throttles"},
		{Scenario: sinktest.Broken, Reason: "versitygw cannot be made to fail"},
	}
}

func TestS3AgainstVersity(t *testing.T) {
	own := emulator.Start(t, emulator.Versity)
	for _, l := range []layout{layoutObject, layoutBatch} {
		t.Run(string(l), func(t *testing.T) { sinktest.Run(t, versity{scriptedS3{l}, own}) })
	}
	t.Run("settings", func(t *testing.T) { settingsOfStores(t, own) })
	t.Run("addressing", func(t *testing.T) { addressedByHost(t, own) })
}

// settingsOfStores sends a log under each setting to one bucket.
func settingsOfStores(t *testing.T, own aws.Config) {
	v := versity{own: own}
	const bucket = "settings"
	if _, err := v.client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		settings map[string]string
		key      string
		want     failure.Code // "" for delivered
	}{
		{"as it comes", nil, "test", ""},
		{"with a CRC32", map[string]string{"checksum": "crc32"}, "test", ""},
		{"with a Content-MD5", map[string]string{"checksum": "md5"}, "test", ""},
		{"with neither", map[string]string{"checksum": "none"}, "test", ""},
		{"its owner", map[string]string{"bucket_owner": "test"}, "test", ""},
		{"another owner", map[string]string{"bucket_owner": "mallory"}, "test", failure.S3OwnerUnconfirmed},
		{"another region", map[string]string{"region": "us-west-2"}, "test", failure.S3RegionMismatch},
		{"an unknown key", nil, "nobody", failure.S3CredentialsWrong},
	}
	want := make(map[string]int)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settings := map[string]string{"bucket": bucket, "region": own.Region, "endpoint": *own.BaseEndpoint}
			for name, value := range tt.settings {
				settings[name] = value
			}
			keys := asJSON(t, map[string]string{"access_key_id": tt.key, "secret_access_key": "test"})
			s, err := build(s3Destination(t, settings), keys, localEnvironment())
			if err != nil {
				t.Fatal(err)
			}
			var got failure.Code
			doc := sinktest.Logs(len(tests), 10)[i]
			if err := s.Send(t.Context(), []auditlog.Document{doc})[0].Err; err != nil {
				got = failure.Of(err).Code
			} else {
				want[doc.ID] = 1
			}
			if got != tt.want {
				t.Errorf("code %q, want %q", got, tt.want)
			}
		})
	}
	if diff := cmp.Diff(want, inBucket(t, v.client(), bucket)); diff != "" {
		t.Errorf("logs in the bucket (-want +got):\n%s", diff)
	}
}

// addressedByHost sends to a host of the bucket's own, which no name server of this machine knows.
func addressedByHost(t *testing.T, own aws.Config) {
	v := versity{own: own}
	const bucket = "by-host"
	if _, err := v.client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(*own.BaseEndpoint, "http://")
	var asked []string
	via := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, host string) (net.Conn, error) {
		asked = append(asked, host)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	settings := s3Settings{Bucket: bucket, Region: own.Region, Endpoint: "http://" + emulator.VersityDomain, Addressing: addressHost}
	put := s3Put{settings: settings, client: settings.client(nil, own.Credentials, via), now: localEnvironment().now}
	if err := put.put(t.Context(), object{key: "x.json", body: sinktest.Logs(1, 10)[0].JSON}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{bucket + "." + emulator.VersityDomain + ":80"}, asked); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"log-000": 1}, inBucket(t, v.client(), bucket)); diff != "" {
		t.Errorf("logs in the bucket (-want +got):\n%s", diff)
	}
}
