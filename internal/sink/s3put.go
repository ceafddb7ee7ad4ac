package sink

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is an integrity check of S3's, not a signature
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// checksum is what an object goes with, besides the SHA-256 that a signature holds. Buckets with object lock demand one.
type checksum string

const (
	checksumCRC32 checksum = "crc32" // x-amz-checksum-crc32
	checksumMD5   checksum = "md5"   // Content-MD5, which stores know that refuse the other
	checksumNone  checksum = "none"
)

// s3Put stores objects in one bucket. settings.BucketOwner is set if the bucket is one of AWS.
type s3Put struct {
	settings s3Settings
	client   func(ctx context.Context) (*s3.Client, error)
	session  *aws.CredentialsCache
	said     discretion
	now      func() time.Time

	// known is the checksum that the store is known to take.
	known atomic.Value
	asked ownerAsked
}

// readOnly hides a body's WriteTo. The SDK closes a body once an answer has come; its WriteTo answers io.EOF after that
// (smithy-go's safeWriteToReadCloser), and the transport takes that for a request that was not sent and cuts the
// answer's body off.
type readOnly struct{ io.ReadSeeker }

// put stores an object. A store that nobody told of gets a CRC32 and, if it refuses that, a Content-MD5 from then on.
func (p *s3Put) put(ctx context.Context, o object) error {
	sum, sure := p.checksum()
	err := p.store(ctx, o, sum)
	if err == nil {
		p.known.Store(sum)
		return nil
	}
	f := p.classify(ctx, err)
	if !sure && refusesChecksum(err) && p.store(ctx, o, checksumMD5) == nil {
		p.known.Store(checksumMD5)
		return nil
	}
	return f
}

// checksum is what the next object goes with, and whether that is settled.
func (p *s3Put) checksum() (sum checksum, sure bool) {
	switch known, ok := p.known.Load().(checksum); {
	case p.settings.Checksum != "":
		return p.settings.Checksum, true
	case ok:
		return known, true
	}
	return checksumCRC32, p.settings.Endpoint == ""
}

// refusesChecksum says whether a refusal may be one of the header x-amz-checksum-crc32. Backblaze B2 answers 400
// InvalidArgument; a header that is not implemented is 501 in S3's own list of errors.
func refusesChecksum(err error) bool {
	status, _, native, ok := awsAnswer(err)
	return ok && (status == http.StatusBadRequest && s3Code(native) == "" || status == http.StatusNotImplemented)
}

// store sends one object. The expected owner is that of the bucket.
func (p *s3Put) store(ctx context.Context, o object, sum checksum) error {
	client, err := p.client(ctx)
	if err != nil {
		return err
	}
	in := &s3.PutObjectInput{
		Bucket:              &p.settings.Bucket,
		ExpectedBucketOwner: optional(p.settings.BucketOwner),
		Key:                 &o.key,
		Body:                readOnly{bytes.NewReader(o.body)},
		ContentLength:       aws.Int64(int64(len(o.body))),
		ContentType:         &o.contentType,
	}
	switch sum {
	case checksumCRC32:
		in.ChecksumCRC32 = aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(o.body))))
	case checksumMD5:
		hash := md5.Sum(o.body) //nolint:gosec // see the import
		in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(hash[:]))
	}
	if p.settings.KMSKeyID != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &p.settings.KMSKeyID
	}
	_, err = client.PutObject(ctx, in)
	return err
}

// askedFor is how long the answer about a bucket's owner is good for: every log of a batch may be refused at once.
const askedFor = time.Minute

// ownerAsked is whether the bucket confirmed its owner, as of the last time that it was asked.
type ownerAsked struct {
	mu        sync.Mutex
	at        time.Time
	confirmed bool
}

// ownerConfirmed asks the bucket for its region, under the expected owner. S3 answers 403 AccessDenied to a wrong owner
// as to a missing permission (S3 User Guide, "Verifying bucket ownership with bucket owner condition"), so a refused
// upload alone tells neither. What answers here is the expected account's; what refuses here too may be anybody's.
// Another failure says nothing, and the owner is taken to be right.
func (p *s3Put) ownerConfirmed(ctx context.Context) bool {
	p.asked.mu.Lock()
	defer p.asked.mu.Unlock()
	if now := p.now(); p.asked.at.IsZero() || now.Sub(p.asked.at) >= askedFor {
		p.asked.at, p.asked.confirmed = now, !p.ownerRefused(ctx)
	}
	return p.asked.confirmed
}

func (p *s3Put) ownerRefused(ctx context.Context) bool {
	client, err := p.client(ctx)
	if err != nil {
		return false
	}
	_, err = client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{
		Bucket: &p.settings.Bucket, ExpectedBucketOwner: optional(p.settings.BucketOwner),
	})
	_, _, native, ok := awsAnswer(err)
	return ok && s3Code(native) == failure.S3PermissionDenied
}
