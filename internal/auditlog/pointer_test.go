package auditlog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePointer(t *testing.T) {
	want := Pointer{Bucket: "payloads", Key: "payloads/6f1c"}
	for name, test := range map[string]struct {
		body    string
		want    Pointer
		ok, bad bool
	}{
		"Java 2 and Python 2": {`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"payloads","s3Key":"payloads/6f1c"}]`, want, true, false},
		"Python, with spaces": {`["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "payloads", "s3Key": "payloads/6f1c"}]`, want, true, false},
		"Java 1":              {`["com.amazon.sqs.javamessaging.MessageS3Pointer",{"s3BucketName":"payloads","s3Key":"payloads/6f1c"}]`, want, true, false},
		"a log":               {`{"id":"a"}`, Pointer{}, false, false},
		"another array":       {`["a","b"]`, Pointer{}, false, false},
		"no array":            {`[`, Pointer{}, false, false},
		"nothing":             {``, Pointer{}, false, false},
		"without a key":       {`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"payloads"}]`, Pointer{}, true, true},
		"without an object":   {`["software.amazon.payloadoffloading.PayloadS3Pointer","payloads"]`, Pointer{}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := ParsePointer([]byte(test.body))
			if ok != test.ok || (err != nil) != test.bad {
				t.Fatalf("pointer %v, error %v; want %v and an error: %v", ok, err, test.ok, test.bad)
			}
			if diff := cmp.Diff(test.want, got); !test.bad && diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func FuzzParsePointer(f *testing.F) {
	f.Add([]byte(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]`))
	f.Add([]byte(`["com.amazon.sqs.javamessaging.MessageS3Pointer",null]`))
	f.Add([]byte(`[[],{}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, ok, err := ParsePointer(body)
		if ok && err == nil && (p.Bucket == "" || p.Key == "") {
			t.Errorf("a pointer without a place: %+v", p)
		}
		if !ok && err != nil {
			t.Errorf("what is no pointer has no error, but: %v", err)
		}
	})
}
