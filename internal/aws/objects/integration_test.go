//go:build integration

package objects_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/aws/objects"
)

func TestBucket(t *testing.T) {
	for _, s := range []emulator.Server{emulator.Fauxqs, emulator.Moto} {
		t.Run(string(s), func(t *testing.T) {
			b := objects.Open(emulator.Start(t, s), "payloads")
			_, err := b.Client.CreateBucket(t.Context(), &s3.CreateBucketInput{
				Bucket:                    aws.String("payloads"),
				CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraintEuCentral1},
			})
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, b)
		})
	}
}

func roundTrip(t *testing.T, b *objects.Bucket) {
	const key = "deliveries/dest.1_-x/log/ABC"
	if _, err := b.Get(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get before put: %v, want an error that is fs.ErrNotExist", err)
	}
	if err := b.Delete(t.Context(), key); err != nil {
		t.Errorf("delete before put: %v", err)
	}
	for _, want := range [][]byte{{}, []byte("\x00\xff small"), bytes.Repeat([]byte("0123456789abcdef"), 1<<18)} {
		if err := b.Put(t.Context(), key, want); err != nil {
			t.Fatal(err)
		}
		got, err := b.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("got %d bytes back of %d, or others", len(got), len(want))
		}
	}
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get after delete: %v, want an error that is fs.ErrNotExist", err)
	}
	elsewhere := *b
	elsewhere.Name = "no-such-bucket"
	if _, err := elsewhere.Get(t.Context(), key); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get from a bucket that is not there: %v, want an error that is not fs.ErrNotExist", err)
	}
}
