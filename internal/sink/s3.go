package sink

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

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
	// RoleARN is the role to assume; empty for a connection with an access key.
	RoleARN string `json:"role_arn"`
	// ExternalID is refused whatever it is: the external id is the workspace's own, see directory.Workspace. A tenant
	// who could choose it could name another tenant's role together with the id that this role trusts.
	ExternalID json.RawMessage `json:"external_id"`
	// BucketOwner is the account that must own the bucket; empty for the role's own account.
	BucketOwner string `json:"bucket_owner"`
	// Endpoint is the URL of an S3-compatible store; empty for AWS.
	Endpoint string `json:"endpoint"`
	// Addressing says where the bucket's name stands in requests to an endpoint.
	Addressing addressing `json:"addressing"`
	// Checksum is what objects go with to an endpoint; empty for a CRC32 unless the store refuses it.
	Checksum checksum `json:"checksum"`
	// KMSKeyID is the key that encrypts objects; empty for the bucket's default.
	KMSKeyID string `json:"kms_key_id"`
}

// addressing is where the bucket's name stands in a request to an endpoint.
type addressing string

const (
	addressPath addressing = "path"         // https://s3.example.com/bucket/key
	addressHost addressing = "virtual_host" // https://bucket.s3.example.com/key
)

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
	awsAccountForm  = regexp.MustCompile(`^[0-9]{12}$`)
	storeOwnerForm  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
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
	own := &systemAccount{open: env.account}
	session, err := s.provider(d, c, own)
	if err != nil {
		return nil, err
	}
	if s.BucketOwner, err = s.owner(); err != nil {
		return nil, err
	}
	put := &s3Put{settings: s, session: session, said: env.said, now: env.now}
	put.client = s.client(own, session, &http.Client{Transport: s.transport(env.network), CheckRedirect: noRedirect})
	sink.put = put.put
	return sink, nil
}

// check says what is wrong with the settings and fills in defaults.
func (s *s3Settings) check(env environment) error {
	if len(s.ExternalID) > 0 {
		return invalid("settings.external_id", "is made by this system, one a workspace: leave it out; the workspace shows it as external_id")
	}
	if err := s.checkEndpoint(env); err != nil {
		return err
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
	case s.KMSKeyID != "" && (len(s.KMSKeyID) > 2048 || !kmsKeyForm.MatchString(s.KMSKeyID)):
		return invalid("settings.kms_key_id", "must be a key's id, its ARN or an alias")
	}
	return nil
}

// checkEndpoint checks what an S3-compatible store has besides, and that AWS has nothing of it.
func (s *s3Settings) checkEndpoint(env environment) error {
	if s.Endpoint == "" {
		switch {
		case s.Addressing != "":
			return invalid("settings.addressing", "belongs to an S3-compatible store, and settings.endpoint is missing")
		case s.Checksum != "":
			return invalid("settings.checksum", "belongs to an S3-compatible store, and settings.endpoint is missing")
		}
		return nil
	}
	u, err := env.network.endpoint("settings.endpoint", s.Endpoint, "credentials.access_key_id and secret_access_key")
	if err != nil {
		return err
	}
	if u.RawQuery != "" {
		return invalid("settings.endpoint", "must have no query; credentials.access_key_id and secret_access_key sign each request anew")
	}
	if s.Region == "" {
		s.Region = "us-east-1"
	}
	switch {
	case s.RoleARN != "":
		return invalid("settings.role_arn", "cannot be used together with settings.endpoint: the session of a role is worth something to AWS alone; use an access key")
	case s.Addressing != "" && s.Addressing != addressPath && s.Addressing != addressHost:
		return invalid("settings.addressing", "must be %s or %s", addressPath, addressHost)
	case s.Addressing == addressHost && (isAddress(u.Hostname()) || u.Scheme == "https" && strings.Contains(s.Bucket, ".")):
		return invalid("settings.addressing", "cannot be %s: the endpoint's host must be a name, and over https the bucket's must have no dot", addressHost)
	case s.Checksum != "" && s.Checksum != checksumCRC32 && s.Checksum != checksumMD5 && s.Checksum != checksumNone:
		return invalid("settings.checksum", "must be %s, %s or %s", checksumCRC32, checksumMD5, checksumNone)
	}
	return nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// owner is the account that must own the bucket. AWS is never written to without one, so that a bucket which was deleted
// and whose name another account took gets nothing. Stores have owners of other forms, or none.
func (s s3Settings) owner() (string, error) {
	owner := s.BucketOwner
	if owner == "" && s.RoleARN != "" {
		owner = strings.Split(s.RoleARN, ":")[4] // by its form
	}
	switch {
	case !s.onAWS() && (owner == "" || storeOwnerForm.MatchString(owner)), awsAccountForm.MatchString(owner):
		return owner, nil
	case owner == "":
		return "", invalid("settings.bucket_owner", "is missing: with an access key it must name the account that owns the bucket, 12 digits")
	case s.onAWS():
		return "", invalid("settings.bucket_owner", "must be the account that owns the bucket, 12 digits")
	}
	return "", invalid("settings.bucket_owner", "must be 1 to 128 of A-Z a-z 0-9 . _ -")
}

// onAWS says whether the bucket is one of AWS, also where its own host name stands as the endpoint.
func (s s3Settings) onAWS() bool {
	if s.Endpoint == "" {
		return true
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return false // it was checked before
	}
	host := "." + strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

func validBucket(name string) bool {
	if !bucketForm.MatchString(name) || strings.Contains(name, "..") {
		return false
	}
	if isAddress(name) {
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
func (s s3Settings) provider(d directory.Destination, c s3Credentials, own *systemAccount) (*aws.CredentialsCache, error) {
	switch {
	case s.RoleARN != "" && c.AccessKeyID != "":
		return nil, invalid("credentials.access_key_id", "must not be given together with settings.role_arn")
	case s.RoleARN != "":
		return assumeRole(d, s, own), nil
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
func (s s3Settings) transport(n Network) http.RoundTripper {
	if s.Endpoint == "" {
		return n.through(&net.Dialer{Timeout: dialTimeout}, nil, mostConcurrency)
	}
	return n.transport(nil, mostConcurrency)
}

// noRedirect has redirects returned as they are: logs go only where an admin said.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
