package sink

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// The answers of S3. Form: "Error responses" of the S3 API Reference; texts as published by AWS's SDKs' tests and users' reports.
const (
	s3PermanentRedirect = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.</Message><RequestId>68D6A3E11776FCC1</RequestId><Bucket>audit-logs</Bucket><HostId>b24iR0OcgTWX7+JaLVhZfz22KI8QK5Gh4qWXAgf7GmFyDG64TwPY5ELSgMcrwnefeLfSBJCmrgQ=</HostId><Endpoint>audit-logs.s3.eu-central-1.amazonaws.com</Endpoint></Error>`
	s3HeaderMalformed = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region><RequestId>531B68B3613F5C96</RequestId><HostId>TMnOREh0Ms0touCRX0XkJinw7xqsF0v/iFyA+nCC4d3PpF+k2oekWlSrUk+8d2/rvcnEv2QXer0=</HostId></Error>`
	s3AccessDenied = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>User: arn:aws:sts::222222222222:assumed-role/audit/auditrelay-d-1 is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::audit-logs/x.json" because no identity-based policy allows the s3:PutObject action</Message><RequestId>5TYQFD2AJ0Q9EHSC</RequestId><HostId>6C6eI9lEkIFcLrPBtqkDnPbWjTOYjVVpjWXvrJJ8VbnBLgAtbxaWrrVG2dZDYn2vyLpI5ijyvmg=</HostId></Error>`
	s3NoSuchBucket = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>audit-logs</BucketName><RequestId>Z8K5R3JM5FVKNYA5</RequestId><HostId>lsGBqPHbwKn6MQhk8LVgOB+P3wYBiGKsGAdUDK+BX1Dbnb1XRqKc0YGbaO5LUMZjUsrPlU3eSbc=</HostId></Error>`
	s3InvalidBucketName = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidBucketName</Code><Message>The specified bucket is not valid.</Message><BucketName>Audit_Logs</BucketName><RequestId>0BFE8F0F8A3C4DA1</RequestId><HostId>GiYRAlbZTOEsFHoBUPAwEmfa7gWqtzRxTDDjBXqdRuLqp1dZ2OwGxDYvR3KRCB6ZrTxc9iV3nWQ=</HostId></Error>`
	s3InvalidKeyID = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist in our records.</Message><AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId><RequestId>D4FC960AEE757AF2</RequestId><HostId>+g+KnR0ME3pAcTCYNqeE5nvpAVZwZqItp/BGR9s5RpKhAspm3icawHcU5eKOod2FSzgeSPUBAkE=</HostId></Error>`
	s3BadSignature = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided. Check your key and signing method.</Message><AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256</StringToSign><RequestId>D4FC960AEE757AF3</RequestId></Error>`
	s3ExpiredToken = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Token-0>IQoJb3JpZ2luX2VjEXAMPLE</Token-0><RequestId>D4FC960AEE757AF4</RequestId></Error>`
	s3KMSDisabled = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>KMS.DisabledException</Code><Message>arn:aws:kms:eu-central-1:222222222222:key/1 is disabled.</Message><RequestId>D4FC960AEE757AF5</RequestId></Error>`
	s3SlowDown = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message><RequestId>K2YZ0EVKNYA5R3JM</RequestId></Error>`
	s3InternalError = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message><RequestId>656c76696e6727732072657175657374</RequestId></Error>`
	s3EntityTooLarge = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>EntityTooLarge</Code><Message>Your proposed upload exceeds the maximum allowed size</Message><RequestId>656c76696e672773</RequestId></Error>`
	s3TemporaryRedirect = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>TemporaryRedirect</Code><Message>Please re-send this request to the specified temporary endpoint. Continue to use the original request endpoint for future requests.</Message><Endpoint>audit-logs.s3.eu-central-1.amazonaws.com</Endpoint><Bucket>audit-logs</Bucket><RequestId>68D6A3E11776FCC2</RequestId></Error>`
)

// What S3-compatible stores answer, as their users report it: peak/s5cmd#518, gobackup/gobackup#268, diced/zipline#746.
const (
	ossPathRefused = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SecondLevelDomainForbidden</Code><Message>Please use virtual hosted style to access.</Message><RequestId>62C3D5E8B94B7E36332CBBFF</RequestId><HostId>oss-cn-shanghai.aliyuncs.com</HostId></Error>`
	cosPathRefused = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>PathStyleDomainForbidden</Code><Message>The bucket you are attempting to access must be addressed using COS virtual-styled domain.</Message></Error>`
	b2ChecksumRefused = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidArgument</Code><Message>Unsupported header 'x-amz-checksum-crc32' received for this API call.</Message></Error>`
	s3VendorCode = `<Error><Code>SomeVendorCode</Code><Message>m</Message></Error>`
)

const (
	testAccessKey = "AKIAIOSFODNN7EXAMPLE"
	testSecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func s3Destination(t *testing.T, settings map[string]string) directory.Destination {
	return directory.Destination{ID: "d-1", Kind: directory.S3, Settings: asJSON(t, settings)}
}

func s3Keys(t *testing.T) []byte {
	return asJSON(t, map[string]string{"access_key_id": testAccessKey, "secret_access_key": testSecretKey})
}

// openS3 makes a sink for a bucket at a server of the test.
func openS3(t *testing.T, url string, more map[string]string) delivery.Sink {
	t.Helper()
	settings := map[string]string{"bucket": "audit-logs", "region": "us-east-1", "endpoint": url}
	for name, value := range more {
		settings[name] = value
	}
	s, err := build(s3Destination(t, settings), s3Keys(t), localEnvironment())
	if err != nil {
		t.Fatalf("build the sink: %v", err)
	}
	return s
}

// bucket plays a bucket that takes every signed object.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	headers map[string]http.Header
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPut || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		b.objects, b.headers = make(map[string][]byte), make(map[string]http.Header)
	}
	b.objects[r.URL.Path], b.headers[r.URL.Path] = body, r.Header
}

func (b *bucket) held(t *testing.T) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := make(map[string]int)
	for _, content := range b.objects {
		logIDs(t, content, count)
	}
	return count
}

// scriptedS3 is a target that answers as AWS's own S3 does.
type scriptedS3 struct{ layout layout }

func (s scriptedS3) Open(t *testing.T, scenario sinktest.Scenario) sinktest.Receiver {
	store := &bucket{}
	url := scripted(t, scenario, map[sinktest.Scenario]answer{
		sinktest.BadCredentials: {status: 403, body: s3InvalidKeyID},
		sinktest.NoPermission:   {status: 403, body: s3AccessDenied},
		sinktest.Missing:        {status: 404, body: s3NoSuchBucket},
		sinktest.Throttled:      {status: 503, body: s3SlowDown, header: map[string]string{"Retry-After": "7"}},
		sinktest.Broken:         {status: 500, body: s3InternalError},
	}, store)
	return sinktest.Receiver{Sink: openS3(t, url, map[string]string{"layout": string(s.layout)}), Held: store.held, Secrets: []string{testAccessKey, testSecretKey}}
}

func (scriptedS3) Codes() map[sinktest.Scenario]failure.Code {
	return map[sinktest.Scenario]failure.Code{
		sinktest.BadCredentials: failure.S3CredentialsWrong,
		sinktest.NoPermission:   failure.S3PermissionDenied,
		sinktest.Missing:        failure.S3BucketNotFound,
		sinktest.Throttled:      failure.S3Throttled,
		sinktest.Broken:         failure.S3ServerError,
	}
}

func (scriptedS3) Deviations() []sinktest.Deviation { return nil }

// realS3 is gofakes3: a server that others wrote and that parses requests as S3 does.
type realS3 struct{ scriptedS3 }

func (s realS3) Open(t *testing.T, scenario sinktest.Scenario) sinktest.Receiver {
	backend := s3mem.New()
	if scenario != sinktest.Missing {
		if err := backend.CreateBucket("audit-logs"); err != nil {
			t.Fatal(err)
		}
	}
	url := scripted(t, scenario, nil, gofakes3.New(backend).Server())
	held := func(t *testing.T) map[string]int {
		count := make(map[string]int)
		list, err := backend.ListBucket("audit-logs", nil, gofakes3.ListBucketPage{})
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range list.Contents {
			stored, err := backend.GetObject("audit-logs", entry.Key, nil)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(stored.Contents)
			if err != nil {
				t.Fatal(err)
			}
			logIDs(t, content, count)
		}
		return count
	}
	return sinktest.Receiver{Sink: openS3(t, url, map[string]string{"layout": string(s.layout)}), Held: held, Secrets: []string{testAccessKey, testSecretKey}}
}

func (realS3) Deviations() []sinktest.Deviation {
	return []sinktest.Deviation{
		{Scenario: sinktest.BadCredentials, Reason: "gofakes3 checks no signature"},
		{Scenario: sinktest.NoPermission, Reason: "gofakes3 knows no policies"},
		{Scenario: sinktest.Throttled, Reason: "gofakes3 never throttles"},
		{Scenario: sinktest.Broken, Reason: "gofakes3 cannot be made to fail"},
	}
}

func TestS3Conformance(t *testing.T) {
	for _, l := range []layout{layoutObject, layoutBatch} {
		t.Run("scripted "+string(l), func(t *testing.T) { sinktest.Run(t, scriptedS3{l}) })
		t.Run("gofakes3 "+string(l), func(t *testing.T) { sinktest.Run(t, realS3{scriptedS3{l}}) })
	}
}

func TestS3Codes(t *testing.T) {
	tests := []struct {
		name   string
		answer answer
		want   failure.Code
		detail string
	}{
		{"redirect to the bucket's region", answer{status: 301, body: s3PermanentRedirect, header: map[string]string{"x-amz-bucket-region": "eu-central-1"}}, failure.S3RegionMismatch, "HTTP 301 PermanentRedirect"},
		{"redirect with a location", answer{status: 301, body: s3PermanentRedirect, header: map[string]string{"Location": "https://audit-logs.s3.eu-central-1.amazonaws.com/x"}}, failure.S3RegionMismatch, "HTTP 301 PermanentRedirect"},
		{"temporary redirect", answer{status: 307, body: s3TemporaryRedirect, header: map[string]string{"Location": "https://example.com/x"}}, failure.S3RegionMismatch, "HTTP 307 TemporaryRedirect"},
		{"redirect without a body", answer{status: 301}, failure.S3RegionMismatch, "HTTP 301 MovedPermanently"},
		{"signed for another region", answer{status: 400, body: s3HeaderMalformed}, failure.S3RegionMismatch, "HTTP 400 AuthorizationHeaderMalformed"},
		{"permission", answer{status: 403, body: s3AccessDenied}, failure.S3PermissionDenied, "HTTP 403 AccessDenied"},
		{"permission without a body", answer{status: 403}, failure.S3PermissionDenied, "HTTP 403 Forbidden"},
		{"no bucket", answer{status: 404, body: s3NoSuchBucket}, failure.S3BucketNotFound, "HTTP 404 NoSuchBucket"},
		{"invalid bucket name", answer{status: 400, body: s3InvalidBucketName}, failure.S3BucketNameInvalid, "HTTP 400 InvalidBucketName"},
		{"unknown key", answer{status: 403, body: s3InvalidKeyID}, failure.S3CredentialsWrong, "HTTP 403 InvalidAccessKeyId"},
		{"wrong secret", answer{status: 403, body: s3BadSignature}, failure.S3CredentialsWrong, "HTTP 403 SignatureDoesNotMatch"},
		{"expired token", answer{status: 400, body: s3ExpiredToken}, failure.S3CredentialsWrong, "HTTP 400 ExpiredToken"},
		{"key disabled", answer{status: 400, body: s3KMSDisabled}, failure.S3KeyUnusable, "HTTP 400 KMS.DisabledException"},
		{"slow down", answer{status: 503, body: s3SlowDown}, failure.S3Throttled, "HTTP 503 SlowDown"},
		{"503 by a proxy", answer{status: 503, body: "<html>busy</html>"}, failure.S3Throttled, "HTTP 503 ServiceUnavailable"},
		{"internal error", answer{status: 500, body: s3InternalError}, failure.S3ServerError, "HTTP 500 InternalError"},
		{"502 by a proxy", answer{status: 502, body: "bad gateway"}, failure.S3ServerError, "HTTP 502"},
		{"401 without a body", answer{status: 401}, failure.S3Refused, "HTTP 401 Unauthorized"},
		{"another 401", answer{status: 401, body: s3VendorCode}, failure.S3Refused, "HTTP 401"},
		{"another 403", answer{status: 403, body: s3VendorCode}, failure.S3Refused, "HTTP 403"},
		{"a 403 by a proxy", answer{status: 403, body: "<html>no</html>"}, failure.S3PermissionDenied, "HTTP 403 Forbidden"},
		{"a 403 of no code at all", answer{status: 403, body: "<Error><Message>m</Message></Error>"}, failure.S3Refused, "HTTP 403"},
		{"Alibaba's refusal of paths", answer{status: 403, body: ossPathRefused}, failure.S3PathStyleRefused, "HTTP 403 SecondLevelDomainForbidden"},
		{"Tencent's refusal of paths", answer{status: 403, body: cosPathRefused}, failure.S3PathStyleRefused, "HTTP 403 PathStyleDomainForbidden"},
		{"another refusal", answer{status: 400, body: s3EntityTooLarge}, failure.S3Rejected, "HTTP 400 EntityTooLarge"},
		{"a code that is no word", answer{status: 400, body: `<Error><Code>see https://x/?token=1 now</Code></Error>`}, failure.S3Rejected, "HTTP 400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := scripted(t, "answer", map[sinktest.Scenario]answer{"answer": tt.answer}, nil)
			result := openS3(t, url, nil).Send(t.Context(), sinktest.Logs(1, 10))[0]
			f := failure.Of(result.Err)
			if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
				t.Errorf("failure (-want +got), cause %v:\n%s", f.Err, diff)
			}
		})
	}
}

func TestS3ObjectsAreNamedAndMarked(t *testing.T) {
	store := &bucket{}
	s := openS3(t, scripted(t, sinktest.Works, nil, store), map[string]string{
		"prefix": "audit/", "kms_key_id": "alias/logs", "template": `{"ts":{{{now_utc}}},"log":{{{log_message}}}}`,
	})
	doc := logDocument(t, "w-1", "job_summary", "l-1", "2026-11-02T09:30:00Z", `{"id":"j-1","recipe_id":7,"status":"succeeded"}`)
	if err := s.Send(t.Context(), []auditlog.Document{doc})[0].Err; err != nil {
		t.Fatal(err)
	}
	path := "/audit-logs/audit/w-1/jobs/7/20261102/j-1/w-1-7-j-1-20261102093000-succeeded-l-1-" + doc.Hash() + ".json"
	content, ok := store.objects[path]
	if !ok {
		t.Fatalf("no object %s in %v", path, store.objects)
	}
	if !strings.HasPrefix(string(content), `{"ts":1`) || !strings.Contains(string(content), `"log":`+string(doc.JSON)) {
		t.Errorf("content %s", content)
	}
	got := make(map[string]string)
	for _, name := range []string{"Content-Type", "X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"} {
		got[name] = store.headers[path].Get(name)
	}
	want := map[string]string{"Content-Type": "application/json", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "alias/logs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if store.headers[path].Get("X-Amz-Checksum-Crc32") == "" {
		t.Error("no checksum, which a bucket with object lock demands")
	}
}

func TestS3BatchesOfTheSameLogsAreOneObject(t *testing.T) {
	store := &bucket{}
	s := openS3(t, scripted(t, sinktest.Works, nil, store), map[string]string{"layout": "batch"})
	docs := sinktest.Logs(5, 10)
	s.Send(t.Context(), docs)
	first := store.objects
	s.Send(t.Context(), []auditlog.Document{docs[3], docs[1], docs[4], docs[0], docs[2]})
	if diff := cmp.Diff(first, store.objects); diff != "" || len(store.objects) != 1 {
		t.Errorf("%d objects; content (-first +second):\n%s", len(store.objects), diff)
	}
}

func TestBatchesAreCutBySize(t *testing.T) {
	docs := []auditlog.Document{
		{ID: "a", JSON: make([]byte, 20<<20)}, {ID: "b", JSON: make([]byte, 12<<20)}, {ID: "c", JSON: make([]byte, 1)}, {ID: "d", JSON: make([]byte, 40<<20)},
	}
	var got []string
	for _, run := range batches(docs, auditlog.Template{}.Size) {
		ids := ""
		for _, d := range run {
			ids += d.ID
		}
		got = append(got, ids)
	}
	if diff := cmp.Diff([]string{"ab", "c", "d"}, got); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}

func TestS3SettingsAreCheckedWhenSaved(t *testing.T) {
	good := map[string]string{"bucket": "audit-logs", "region": "eu-central-1", "role_arn": "arn:aws:iam::123456789012:role/audit/relay"}
	keys := `{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"wJalrXUtnFEMI/K7MDENG"}`
	tests := []struct {
		name    string
		change  map[string]string
		secret  string
		network Network
		field   string
	}{
		{name: "as it should be"},
		{name: "a store with keys", change: map[string]string{"role_arn": "", "region": "", "endpoint": "https://s3.example.com"}, secret: keys},
		{name: "no bucket", change: map[string]string{"bucket": ""}, field: "settings.bucket"},
		{name: "upper case", change: map[string]string{"bucket": "Audit"}, field: "settings.bucket"},
		{name: "an address", change: map[string]string{"bucket": "192.168.5.4"}, field: "settings.bucket"},
		{name: "two dots", change: map[string]string{"bucket": "a..b"}, field: "settings.bucket"},
		{name: "a path", change: map[string]string{"bucket": "a/../b"}, field: "settings.bucket"},
		{name: "no region", change: map[string]string{"region": ""}, field: "settings.region"},
		{name: "a place", change: map[string]string{"region": "Frankfurt"}, field: "settings.region"},
		{name: "a host in the region", change: map[string]string{"region": "x.example.com/#"}, field: "settings.region"},
		{name: "a user's ARN", change: map[string]string{"role_arn": "arn:aws:iam::123456789012:user/x"}, field: "settings.role_arn"},
		{name: "a store without keys", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com"}},
		{name: "neither role nor keys", change: map[string]string{"role_arn": ""}, field: "settings.role_arn"},
		{name: "role and keys", secret: keys, field: "credentials.access_key_id"},
		{name: "AWS with keys", change: map[string]string{"role_arn": "", "bucket_owner": "123456789012"}, secret: keys},
		{name: "AWS with keys, and no owner", change: map[string]string{"role_arn": ""}, secret: keys, field: "settings.bucket_owner"},
		{name: "another account's bucket", change: map[string]string{"bucket_owner": "210987654321"}},
		{name: "an owner by name", change: map[string]string{"bucket_owner": "acme"}, field: "settings.bucket_owner"},
		{name: "an owner with hyphens", change: map[string]string{"bucket_owner": "1234-5678-9012"}, field: "settings.bucket_owner"},
		{name: "AWS's own host as the endpoint, and no owner", change: map[string]string{"role_arn": "", "endpoint": "https://s3.eu-central-1.amazonaws.com"}, secret: keys, field: "settings.bucket_owner"},
		{name: "China's too", change: map[string]string{"role_arn": "", "endpoint": "https://s3.cn-north-1.amazonaws.com.cn."}, secret: keys, field: "settings.bucket_owner"},
		{name: "a dual-stack host of AWS", change: map[string]string{"role_arn": "", "endpoint": "https://S3.dualstack.eu-central-1.api.aws", "bucket_owner": "123456789012"}, secret: keys},
		{name: "a store whose name ends alike", change: map[string]string{"role_arn": "", "endpoint": "https://s3.notamazonaws.com"}, secret: keys},
		{name: "a store's owner", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com", "bucket_owner": "tenant-7"}, secret: keys},
		{name: "a store's owner with a line break", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com", "bucket_owner": "a\nb"}, secret: keys, field: "settings.bucket_owner"},
		{name: "a role at a store", change: map[string]string{"endpoint": "https://s3.example.com"}, field: "settings.role_arn"},
		{name: "an external id of one's own", change: map[string]string{"external_id": "6f1d2c9a"}, field: "settings.external_id"},
		{name: "an empty one", change: map[string]string{"external_id": ""}, field: "settings.external_id"},
		{name: "one under another case", change: map[string]string{"External_ID": "6f1d2c9a"}, field: "settings.External_ID"},
		{name: "one without a role", change: map[string]string{"role_arn": "", "external_id": "6f1d2c9a", "bucket_owner": "123456789012"}, secret: keys, field: "settings.external_id"},
		{name: "the bucket in the host", change: map[string]string{"role_arn": "", "endpoint": "https://oss-cn-hangzhou.aliyuncs.com", "addressing": "virtual_host"}, secret: keys},
		{name: "the bucket in the path", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com", "addressing": "path"}, secret: keys},
		{name: "an unknown addressing", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com", "addressing": "dns"}, secret: keys, field: "settings.addressing"},
		{name: "addressing on AWS", change: map[string]string{"addressing": "path"}, field: "settings.addressing"},
		{name: "a host without a name", change: map[string]string{"role_arn": "", "endpoint": "https://192.0.2.7", "addressing": "virtual_host"}, secret: keys, field: "settings.addressing"},
		{name: "a host of IPv6", change: map[string]string{"role_arn": "", "endpoint": "https://[2001:db8::7]:9000", "addressing": "virtual_host"}, secret: keys, field: "settings.addressing"},
		{name: "a bucket with dots in the host", change: map[string]string{"role_arn": "", "bucket": "audit.logs", "endpoint": "https://s3.example.com", "addressing": "virtual_host"}, secret: keys, field: "settings.addressing"},
		{name: "another checksum", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com", "checksum": "md5"}, secret: keys},
		{name: "no checksum", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com", "checksum": "none"}, secret: keys},
		{name: "an unknown checksum", change: map[string]string{"role_arn": "", "endpoint": "https://s3.example.com", "checksum": "sha1"}, secret: keys, field: "settings.checksum"},
		{name: "a checksum on AWS", change: map[string]string{"checksum": "none"}, field: "settings.checksum"},
		{name: "half a key", change: map[string]string{"role_arn": ""}, secret: `{"access_key_id":"A"}`, field: "credentials.secret_access_key"},
		{name: "an unknown credential", secret: `{"password":"x"}`, field: "credentials.password"},
		{name: "plain http", change: map[string]string{"endpoint": "http://s3.example.com"}, field: "settings.endpoint"},
		{name: "plain http where it is open", change: map[string]string{"role_arn": "", "endpoint": "http://s3.example.com"}, secret: keys, network: local()},
		{name: "no host", change: map[string]string{"endpoint": "https:///x"}, field: "settings.endpoint"},
		{name: "an unknown layout", change: map[string]string{"layout": "daily"}, field: "settings.layout"},
		{name: "a prefix that climbs", change: map[string]string{"prefix": "a/../b"}, field: "settings.prefix"},
		{name: "a key template without the id", change: map[string]string{"key_template": "{workspace}/x"}, field: "settings.key_template"},
		{name: "a key template for batches", change: map[string]string{"key_template": "{workspace}/{id}", "layout": "batch"}, field: "settings.key_template"},
		{name: "a template that is no JSON", change: map[string]string{"template": "{{{log_message}}"}, field: "settings.template"},
		{name: "a key with a newline", change: map[string]string{"kms_key_id": "a\nb"}, field: "settings.kms_key_id"},
		{name: "an unknown setting", change: map[string]string{"buckets": "x"}, field: "settings.buckets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settings := make(map[string]string)
			for _, from := range []map[string]string{good, tt.change} {
				for name, value := range from {
					settings[name] = value
				}
			}
			err := Validate(s3Destination(t, settings), []byte(tt.secret), tt.network)
			wrong, _ := errors.AsType[*FieldError](err)
			switch {
			case tt.field == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.field != "" && (wrong == nil || wrong.Field != tt.field):
				t.Errorf("got %v, want an error of the field %s", err, tt.field)
			}
		})
	}
}

// Settings that were saved before a rule existed, or that were written past it, lead to their code instead of being an error of the settings.
func TestS3SettingsThatTurnBad(t *testing.T) {
	tests := []struct {
		settings map[string]string
		want     failure.Code
	}{
		{map[string]string{"bucket": "a/b", "region": "eu-central-1"}, failure.S3BucketNameInvalid},
		{map[string]string{"bucket": "ab", "region": "eu-central-1", "role_arn": "role/x"}, failure.S3RoleInvalid},
		{map[string]string{"bucket": "ab", "region": ""}, failure.ConfigInvalid},
	}
	for _, tt := range tests {
		_, err := build(s3Destination(t, tt.settings), s3Keys(t), localEnvironment())
		if got := failure.Of(configInvalid(err)).Code; got != tt.want {
			t.Errorf("%v: %s, want %s", tt.settings, got, tt.want)
		}
	}
}
