package sink

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// s3Settings are the settings of the kind s3.
type s3Settings struct {
	objectSettings
	Bucket string `json:"bucket"`
	// Region is the bucket's. With an endpoint it is whatever that store wants in signatures, us-east-1 by default.
	Region string `json:"region"`
	// RoleARN is the role to assume, with ExternalID; empty for a connection with an access key.
	RoleARN    string `json:"role_arn"`
	ExternalID string `json:"external_id"`
	// Endpoint is the URL of an S3-compatible store; empty for AWS.
	Endpoint string `json:"endpoint"`
	// KMSKeyID is the key that encrypts objects; empty for the bucket's default.
	KMSKeyID string `json:"kms_key_id"`
}

// s3Credentials are the credentials of the kind s3, for a connection without a role.
type s3Credentials struct {
	AccessKeyID     Secret `json:"access_key_id"`
	SecretAccessKey Secret `json:"secret_access_key"`
	SessionToken    Secret `json:"session_token"`
}

var (
	// Sources: "Bucket naming rules" of the S3 User Guide, "Identifiers" of the IAM User Guide, and the parameters of STS AssumeRole and S3 PutObject.
	bucketForm      = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	bucketSayable   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,255}$`)
	awsRegionForm   = regexp.MustCompile(`^[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$`)
	storeRegionForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	roleForm        = regexp.MustCompile(`^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/[!-~]{1,512}$`)
	externalIDForm  = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]{2,}$`)
	kmsKeyForm      = regexp.MustCompile(`^[A-Za-z0-9:/_-]+$`)
)

// newS3 makes a sink for a bucket. Rules of AWS that S3 itself answers for are checked only when the destination is saved.
func newS3(d directory.Destination, secret json.RawMessage, env environment) (delivery.Sink, error) {
	var s s3Settings
	if err := decode("settings", d.Settings, &s); err != nil {
		return nil, err
	}
	var c s3Credentials
	if err := decode("credentials", secret, &c); err != nil {
		return nil, err
	}
	if err := s.check(env); err != nil {
		return nil, err
	}
	sink, err := newObjects(s.objectSettings, env)
	if err != nil {
		return nil, err
	}
	provider, err := s.provider(d.ID, c, env.account)
	if err != nil {
		return nil, err
	}
	put := &s3Put{settings: s, session: provider, said: env.said, now: env.now, client: s3.New(s3.Options{
		Region:                     s.Region,
		BaseEndpoint:               optional(s.Endpoint),
		UsePathStyle:               s.Endpoint != "",
		Credentials:                provider,
		HTTPClient:                 &http.Client{Transport: s.transport(env.network), CheckRedirect: noRedirect},
		Retryer:                    aws.NopRetryer{}, // the schedule retries
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})}
	sink.put = put.put
	return sink, nil
}

// check says what is wrong with the settings and fills in defaults.
func (s *s3Settings) check(env environment) error {
	if s.Endpoint != "" {
		endpoint, err := env.network.endpoint("settings.endpoint", s.Endpoint, "credentials.access_key_id and secret_access_key")
		if err != nil {
			return err
		}
		if endpoint.RawQuery != "" {
			return invalid("settings.endpoint", "must have no query; credentials.access_key_id and secret_access_key sign each request anew")
		}
		if s.Region == "" {
			s.Region = "us-east-1"
		}
	}
	switch {
	case s.Bucket == "":
		return invalid("settings.bucket", "is missing")
	case env.saving && !validBucket(s.Bucket):
		return invalid("settings.bucket", "must be 3 to 63 lower-case letters, digits, dots and hyphens, begin and end with a letter or digit, and be no IP address nor a reserved name")
	case !bucketSayable.MatchString(s.Bucket):
		return &failure.Error{Code: failure.S3BucketNameInvalid, Detail: "the name has characters that no bucket can have"}
	case s.Region == "":
		return invalid("settings.region", "is missing")
	case s.Endpoint == "" && !awsRegionForm.MatchString(s.Region), !storeRegionForm.MatchString(s.Region):
		return invalid("settings.region", "must be a region's code such as eu-central-1")
	case s.RoleARN != "" && !roleForm.MatchString(s.RoleARN):
		if !env.saving {
			return &failure.Error{Code: failure.S3RoleInvalid, Detail: "the role ARN is malformed"}
		}
		return invalid("settings.role_arn", "must have the form arn:aws:iam::123456789012:role/name")
	case s.ExternalID != "" && s.RoleARN == "":
		return invalid("settings.external_id", "belongs to a role, and settings.role_arn is missing")
	case s.ExternalID != "" && (len(s.ExternalID) > 1224 || !externalIDForm.MatchString(s.ExternalID)):
		return invalid("settings.external_id", "must be 2 to 1,224 of A-Z a-z 0-9 _ + = , . @ : / -")
	case s.KMSKeyID != "" && (len(s.KMSKeyID) > 2048 || !kmsKeyForm.MatchString(s.KMSKeyID)):
		return invalid("settings.kms_key_id", "must be a key's id, its ARN or an alias")
	}
	return nil
}

func validBucket(name string) bool {
	if !bucketForm.MatchString(name) || strings.Contains(name, "..") {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for _, reserved := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, reserved) {
			return false
		}
	}
	return true
}

// provider gives the credentials of this destination alone. The ones of this system are used only to assume a role, never on a bucket: an admin
// could name any bucket.
func (s s3Settings) provider(destinationID string, c s3Credentials, account Account) (*aws.CredentialsCache, error) {
	switch {
	case s.RoleARN != "" && c.AccessKeyID != "":
		return nil, invalid("credentials.access_key_id", "must not be given together with settings.role_arn")
	case s.RoleARN != "":
		return assumeRole(destinationID, s, account), nil
	case c.AccessKeyID == "" && c.SecretAccessKey == "" && s.Endpoint != "":
		return aws.NewCredentialsCache(aws.AnonymousCredentials{}), nil // a store that wants a signature says so
	case c.AccessKeyID == "" && c.SecretAccessKey == "":
		return nil, invalid("settings.role_arn", "is missing; a connection needs a role to assume, or access_key_id and secret_access_key as credentials")
	case c.AccessKeyID == "":
		return nil, invalid("credentials.access_key_id", "is missing")
	case c.SecretAccessKey == "":
		return nil, invalid("credentials.secret_access_key", "is missing")
	}
	return aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(
		c.AccessKeyID.Reveal(), c.SecretAccessKey.Reveal(), c.SessionToken.Reveal(),
	)), nil
}

// transport guards the connections to an endpoint that an admin wrote. The hosts of AWS need no guard, and in a VPC they may have private addresses.
func (s s3Settings) transport(n Network) *http.Transport {
	t := n.transport(nil, mostConcurrency)
	if s.Endpoint == "" {
		t.DialContext = n.dial(&net.Dialer{Timeout: dialTimeout})
	}
	return t
}

// noRedirect has redirects returned as they are: logs go only where an admin said.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// put stores one object. It sends a CRC32, which buckets with object lock demand.
func (p *s3Put) put(ctx context.Context, o object) error {
	in := &s3.PutObjectInput{
		Bucket:        &p.settings.Bucket,
		Key:           &o.key,
		Body:          bytes.NewReader(o.body),
		ContentLength: aws.Int64(int64(len(o.body))),
		ContentType:   &o.contentType,
		ChecksumCRC32: aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(o.body)))),
	}
	if p.settings.KMSKeyID != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &p.settings.KMSKeyID
	}
	if _, err := p.client.PutObject(ctx, in); err != nil {
		return p.classify(err)
	}
	return nil
}
