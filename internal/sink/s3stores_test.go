package sink

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// store is an S3-compatible store that is strict about headers.
type store struct {
	bucket
	// refuses answers what the store has against a request; status 0 if nothing.
	refuses func(r *http.Request) answer

	seen sync.Mutex
	// sums names the checksum of each request: crc32, md5 or none.
	sums []string
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.seen.Lock()
	s.sums = append(s.sums, sumOf(r))
	s.seen.Unlock()
	if a := s.refuses(r); a.status != 0 {
		_, _ = io.Copy(io.Discard, r.Body)
		a.write(w)
		return
	}
	s.bucket.ServeHTTP(w, r)
}

func sumOf(r *http.Request) string {
	switch {
	case r.Header.Get("X-Amz-Checksum-Crc32") != "":
		return "crc32"
	case r.Header.Get("Content-Md5") != "":
		return "md5"
	}
	return "none"
}

func TestS3ChecksumsOfStores(t *testing.T) {
	nothing := func(*http.Request) answer { return answer{} }
	checksums := func(r *http.Request) answer { // Backblaze B2
		if sumOf(r) == "crc32" {
			return answer{status: 400, body: b2ChecksumRefused}
		}
		return answer{}
	}
	unimplemented := func(r *http.Request) answer {
		if sumOf(r) == "crc32" {
			return answer{status: 501, body: `<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>`}
		}
		return answer{}
	}
	everything := func(*http.Request) answer { return answer{status: 400, body: s3EntityTooLarge} }
	noKey := func(*http.Request) answer { return answer{status: 400, body: s3ExpiredToken} }
	const lost failure.Code = ""
	tests := []struct {
		name     string
		refuses  func(*http.Request) answer
		checksum string
		// want are the codes of two logs sent one after the other, and sums what the requests went with.
		want []failure.Code
		sums []string
	}{
		{"a store like AWS", nothing, "", []failure.Code{lost, lost}, []string{"crc32", "crc32"}},
		{"one that refuses the header", checksums, "", []failure.Code{lost, lost}, []string{"crc32", "md5", "md5"}},
		{"one that does not implement it", unimplemented, "", []failure.Code{lost, lost}, []string{"crc32", "md5", "md5"}},
		{"one that refuses objects", everything, "", []failure.Code{failure.S3Rejected, failure.S3Rejected}, []string{"crc32", "md5", "crc32", "md5"}},
		{"one that refuses for a known reason", noKey, "", []failure.Code{failure.S3CredentialsWrong, failure.S3CredentialsWrong}, []string{"crc32", "crc32"}},
		{"told to send a CRC32", checksums, "crc32", []failure.Code{failure.S3Rejected, failure.S3Rejected}, []string{"crc32", "crc32"}},
		{"told to send an MD5", checksums, "md5", []failure.Code{lost, lost}, []string{"md5", "md5"}},
		{"told to send none", checksums, "none", []failure.Code{lost, lost}, []string{"none", "none"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := &store{refuses: tt.refuses}
			s := openS3(t, scripted(t, sinktest.Works, nil, server), map[string]string{"checksum": tt.checksum})
			var got []failure.Code
			for _, doc := range sinktest.Logs(2, 10) {
				code := lost
				if err := s.Send(t.Context(), []auditlog.Document{doc})[0].Err; err != nil {
					code = failure.Of(err).Code
				}
				got = append(got, code)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.sums, server.sums); diff != "" {
				t.Errorf("checksums of the requests (-want +got):\n%s", diff)
			}
		})
	}
}

// A store that has taken the header once is not tried without it when it refuses a log for a reason of its own.
func TestS3ChecksumIsSettledByTheFirstObject(t *testing.T) {
	full := false
	server := &store{refuses: func(*http.Request) answer {
		if full {
			return answer{status: 400, body: s3EntityTooLarge}
		}
		return answer{}
	}}
	s := openS3(t, scripted(t, sinktest.Works, nil, server), nil)
	for _, full = range []bool{false, true} {
		s.Send(t.Context(), sinktest.Logs(1, 10))
	}
	if diff := cmp.Diff([]string{"crc32", "crc32"}, server.sums); diff != "" {
		t.Errorf("checksums of the requests (-want +got):\n%s", diff)
	}
}

// Google's front end adds to Accept-Encoding on the way to Cloud Storage, so that a signature over it cannot match.
func TestS3AcceptEncodingIsNotSignedForStores(t *testing.T) {
	server := &store{refuses: func(r *http.Request) answer {
		signed := strings.Contains(r.Header.Get("Authorization"), "accept-encoding")
		if signed || r.Header.Get("Accept-Encoding") != "" {
			return answer{status: 403, body: s3BadSignature}
		}
		return answer{}
	}}
	s := openS3(t, scripted(t, sinktest.Works, nil, server), nil)
	if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
		t.Error(err)
	}
}

// dialled notes the URL of a request and answers for the store.
type dialled struct{ url *url.URL }

func (d *dialled) RoundTrip(r *http.Request) (*http.Response, error) {
	d.url = r.URL
	return httptest.NewRecorder().Result(), nil
}

func TestS3Addressing(t *testing.T) {
	tests := []struct {
		name     string
		settings s3Settings
		want     string
	}{
		{"a store", s3Settings{Endpoint: "https://s3.example.com"}, "https://s3.example.com/audit-logs/x.json"},
		{"a store by path", s3Settings{Endpoint: "https://s3.example.com", Addressing: addressPath}, "https://s3.example.com/audit-logs/x.json"},
		{"a store by host", s3Settings{Endpoint: "https://oss-cn-hangzhou.aliyuncs.com", Addressing: addressHost}, "https://audit-logs.oss-cn-hangzhou.aliyuncs.com/x.json"},
		{"a store by host and port", s3Settings{Endpoint: "http://store.test:9000", Addressing: addressHost}, "http://audit-logs.store.test:9000/x.json"},
		{"a store below a path", s3Settings{Endpoint: "https://example.com/s3"}, "https://example.com/s3/audit-logs/x.json"},
		{"AWS", s3Settings{BucketOwner: "222222222222"}, "https://audit-logs.s3.us-east-1.amazonaws.com/x.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			via := &dialled{}
			tt.settings.Bucket, tt.settings.Region = "audit-logs", "us-east-1"
			put := s3Put{settings: tt.settings, now: localEnvironment().now}
			put.client = tt.settings.client(nil, aws.AnonymousCredentials{}, &http.Client{Transport: via})
			if err := put.put(t.Context(), object{key: "x.json", body: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			via.url.RawQuery = "" // x-id, which the SDK adds for logs of requests
			if got := via.url.String(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
