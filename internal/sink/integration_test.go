//go:build integration

package sink

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// motoS3 is a bucket of moto that is reached by a role: moto plays STS and S3.
type motoS3 struct {
	scriptedS3
	own aws.Config
}

func (m motoS3) Open(t *testing.T, scenario sinktest.Scenario) sinktest.Receiver {
	client := s3.NewFromConfig(m.own, func(o *s3.Options) { o.UsePathStyle = true })
	bucket := resourceName(t)
	if scenario != sinktest.Missing {
		_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{
			Bucket:                    &bucket,
			CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraintEuCentral1},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", *m.own.BaseEndpoint)
	t.Setenv("AWS_ENDPOINT_URL_S3", scripted(t, scenario, nil, forward(t, *m.own.BaseEndpoint, &http.Transport{DisableKeepAlives: true})))
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	d := s3Destination(t, map[string]string{
		"bucket": bucket, "region": "eu-central-1", "role_arn": testRole, "bucket_owner": motoAccount, "layout": string(m.layout),
	})
	d.ExternalID = testExternalID
	sink, err := build(d, nil, localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	return sinktest.Receiver{Sink: sink, Held: func(t *testing.T) map[string]int { return inBucket(t, client, bucket) }}
}

// motoAccount owns what is made with keys that moto did not give.
const motoAccount = "123456789012"

// resourceName makes the name of a bucket or container of the test's own.
func resourceName(t *testing.T) string {
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	return strings.Trim(name[max(0, len(name)-50):], "-")
}

func (motoS3) Deviations() []sinktest.Deviation {
	return []sinktest.Deviation{
		{Scenario: sinktest.BadCredentials, Reason: "moto takes every key"},
		{Scenario: sinktest.NoPermission, Reason: "moto has no policies unless it is told to"},
		{Scenario: sinktest.Throttled, Reason: "moto never throttles S3"},
		{Scenario: sinktest.Broken, Reason: "moto cannot be made to fail"},
	}
}

func inBucket(t *testing.T, client *s3.Client, bucket string) map[string]int {
	t.Helper()
	count := make(map[string]int)
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		logIDs(t, readAll(t, got.Body), count)
	}
	return count
}

func readAll(t *testing.T, body io.ReadCloser) []byte {
	t.Helper()
	defer func() { _ = body.Close() }()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestS3AgainstMoto(t *testing.T) {
	own := emulator.Start(t, emulator.Moto)
	for _, l := range []layout{layoutObject, layoutBatch} {
		t.Run(string(l), func(t *testing.T) { sinktest.Run(t, motoS3{scriptedS3{l}, own}) })
	}
}

// azurite is a container of Azurite, Microsoft's own emulator of Azure Storage.
type azurite struct {
	scriptedBlob
	url    string // https
	client *http.Client
}

// azuriteAccount is the account that Azurite has, with testAccountKey.
const azuriteAccount = "devstoreaccount1"

func (a azurite) Open(t *testing.T, scenario sinktest.Scenario) sinktest.Receiver {
	name := resourceName(t)
	key, err := azblob.NewSharedKeyCredential(azuriteAccount, testAccountKey)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := container.NewClientWithSharedKeyCredential(a.url+"/"+azuriteAccount+"/"+name, key, &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: a.client}})
	if err != nil {
		t.Fatal(err)
	}
	if scenario != sinktest.Missing {
		if _, err := admin.Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	credentials := a.auth.credentials
	if scenario == sinktest.BadCredentials {
		credentials = map[string]string{"account_key": base64.StdEncoding.EncodeToString([]byte("another key"))}
	}
	settings := map[string]string{
		"account": azuriteAccount, "container": name,
		"endpoint": scripted(t, scenario, nil, forward(t, a.url, a.client.Transport)) + "/" + azuriteAccount,
	}
	for name, value := range a.auth.settings(t) {
		settings[name] = value
	}
	s, err := build(directory.Destination{ID: "d-1", Kind: directory.AzureBlob, Settings: asJSON(t, settings)}, asJSON(t, credentials), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	held := func(t *testing.T) map[string]int {
		count := make(map[string]int)
		for pager := admin.NewListBlobsFlatPager(nil); pager.More(); {
			page, err := pager.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Segment.BlobItems {
				stored, err := admin.NewBlobClient(*item.Name).DownloadStream(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				logIDs(t, readAll(t, stored.Body), count)
			}
		}
		return count
	}
	return sinktest.Receiver{Sink: s, Held: held, Secrets: []string{testAccountKey, testClientSecret}}
}

func (a azurite) Deviations() []sinktest.Deviation {
	deviations := []sinktest.Deviation{
		{Scenario: sinktest.NoPermission, Reason: "Azurite knows no roles"},
		{Scenario: sinktest.Throttled, Reason: "Azurite never throttles"},
		{Scenario: sinktest.Broken, Reason: "Azurite cannot be made to fail"},
	}
	if a.auth.name == "client secret" {
		deviations = append(deviations, sinktest.Deviation{Scenario: sinktest.BadCredentials, Reason: "Azurite checks no signature of a token"})
	}
	return deviations
}

func TestAzureBlobAgainstAzurite(t *testing.T) {
	address, client := startAzurite(t)
	token := azuriteToken(t)
	auths := blobAuths()[:2]
	auths[0].settings = func(t *testing.T) map[string]string {
		return map[string]string{"tenant_id": testTenant, "client_id": testClient, "authority_host": tokenEndpoint(t, token, nil)}
	}
	for _, auth := range auths {
		t.Run(auth.name, func(t *testing.T) { sinktest.Run(t, azurite{scriptedBlob{auth}, address, client}) })
	}
}

// azuriteToken makes a token with the claims that Azurite reads; it does not check the signature.
func azuriteToken(t *testing.T) string {
	t.Helper()
	part := func(v any) string { return base64.RawURLEncoding.EncodeToString(asJSON(t, v)) }
	now := time.Now()
	return part(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{
		"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/" + testTenant + "/", "tid": testTenant,
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(), "ver": "1.0",
	}) + ".c2ln"
}

// startAzurite runs Azurite with a certificate of its own, since it takes tokens over https only. It gives its URL and a client that trusts it.
func startAzurite(t *testing.T) (string, *http.Client) {
	t.Helper()
	dir := t.TempDir()
	roots := certificate(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.CommandContext(t.Context(), "node", "../../node_modules/azurite/dist/src/blob/main.js", "--blobHost", "127.0.0.1", "--blobPort", port,
		"--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--oauth", "basic", "--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = mustGetwd(t), os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Azurite (npm ci brings it): %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := "https://127.0.0.1:" + port
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	limit := time.After(time.Minute)
	for again := time.NewTicker(50 * time.Millisecond); ; {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := client.Do(r); err == nil {
			_ = response.Body.Close()
			return address, client
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("Azurite does not listen on %s; npm ci brings it", address)
		}
	}
}

func mustGetwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// certificate writes a self-signed certificate for 127.0.0.1 and its key, and gives a pool that trusts it.
func certificate(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{certFile: cert, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return roots
}

// forward passes requests on to a server, signatures and host name as they are.
func forward(t *testing.T, to string, transport http.RoundTripper) http.Handler {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = fmt.Fprint(w, err)
		},
	}
}
