package sink

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// blobSettings are the settings of the kind azure_blob.
type blobSettings struct {
	objectSettings
	entraSettings
	Account   string `json:"account"`
	Container string `json:"container"`
	// Endpoint is the URL of the account's blob service, by default https://<account>.blob.core.windows.net or the host of another cloud.
	Endpoint string `json:"endpoint"`
}

// blobCredentials are the credentials of the kind azure_blob: one of the three.
type blobCredentials struct {
	// ClientSecret belongs to the application in the settings.
	ClientSecret Secret `json:"client_secret"`
	// AccountKey is one of the account's two keys, base64.
	AccountKey Secret `json:"account_key"`
	// SAS is a shared access signature that allows to create blobs, as a query string.
	SAS Secret `json:"sas"`
}

// Sources: "Naming and referencing containers, blobs, and metadata" and "Storage account overview" of Microsoft's documentation.
var (
	accountForm   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	containerForm = regexp.MustCompile(`^(\$web|[a-z0-9](-?[a-z0-9])+)$`)
)

// newAzureBlob makes a sink for a container.
func newAzureBlob(settings, secret json.RawMessage, env environment) (delivery.Sink, error) {
	var s blobSettings
	if err := decode("settings", settings, &s); err != nil {
		return nil, err
	}
	var c blobCredentials
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
	client, err := s.client(c, env)
	if err != nil {
		return nil, err
	}
	sink.put = (&blobPut{client: client, codes: blobCodes(env.said), now: env.now}).put
	return sink, nil
}

// check says what is wrong with the names in the settings.
func (s blobSettings) check(env environment) error {
	switch {
	case s.Account == "" && s.Endpoint == "":
		return invalid("settings.account", "is missing")
	case s.Account != "" && !accountForm.MatchString(s.Account):
		if env.saving {
			return invalid("settings.account", "must be 3 to 24 lower-case letters and digits")
		}
		return &failure.Error{Code: failure.AzureBlobAccountNotFound, Detail: "the account's name is malformed"}
	case s.Container == "":
		return invalid("settings.container", "is missing")
	case s.Container == "$root" && env.saving: // "Working with the root container": no name in it holds a slash, and each of ours does
		return invalid("settings.container", "must not be $root, which takes no names with a slash; every log's name has some")
	case s.Container == "$web" && env.saving: // "Static website hosting in Azure Storage"
		return invalid("settings.container", "must not be $web, whose contents everybody can read")
	case strings.HasPrefix(s.Container, "$") && env.saving:
		return invalid("settings.container", "must not be a container of Azure's own")
	case len(s.Container) < 3, len(s.Container) > 63, !containerForm.MatchString(s.Container):
		if env.saving {
			return invalid("settings.container", "must be 3 to 63 lower-case letters, digits and single hyphens, beginning and ending with a letter or digit")
		}
		return &failure.Error{Code: failure.AzureBlobContainerNotFound, Detail: "the container's name is malformed"}
	}
	return nil
}

// client makes the client of the container's blobs with the one credential that there is.
func (s blobSettings) client(c blobCredentials, env environment) (*blockblob.Client, error) {
	in, _, err := s.cloudOf(s.Endpoint, env)
	if err != nil {
		return nil, err
	}
	at, err := s.containerURL(in, env.network)
	if err != nil {
		return nil, err
	}
	transport := azureClient(env.network)
	options := &blockblob.ClientOptions{ClientOptions: azureOptions(transport)}
	options.PerCallPolicies = []policy.Policy{blobName{}}
	switch {
	case s.given():
		if c.AccountKey != "" || c.SAS != "" {
			return nil, invalid("credentials", "must be the client_secret alone, since settings.client_id names an application")
		}
		credential, err := s.credential(c.ClientSecret, in, transport, env)
		if err != nil {
			return nil, err
		}
		options.InsecureAllowCredentialWithHTTP = at.Scheme == "http" // only where the operator has opened plain http
		return blobClient(blockblob.NewClient(at.String(), credential, options))
	case c.ClientSecret != "":
		return nil, invalid("settings.client_id", "is missing; the client_secret belongs to an application")
	case c.AccountKey != "" && c.SAS != "":
		return nil, invalid("credentials.sas", "must not be given together with account_key")
	case c.AccountKey != "":
		return s.keyClient(at, c.AccountKey, options, env)
	case c.SAS != "":
		query, err := url.ParseQuery(strings.TrimPrefix(c.SAS.Reveal(), "?"))
		if err != nil || query.Get("sig") == "" {
			return nil, badBlobCredential(env, "credentials.sas", "must be a shared access signature such as sv=…&sr=c&sp=c&sig=…")
		}
		at.RawQuery = query.Encode()
		return blobClient(blockblob.NewClientWithNoCredential(at.String(), options))
	}
	return nil, invalid("credentials", "are missing; give an account_key, a sas, or tenant_id and client_id as settings with a client_secret")
}

func (s blobSettings) keyClient(at *url.URL, key Secret, options *blockblob.ClientOptions, env environment) (*blockblob.Client, error) {
	if s.Account == "" {
		return nil, invalid("settings.account", "is missing; an account_key is of no use without it")
	}
	if _, err := base64.StdEncoding.DecodeString(key.Reveal()); err != nil {
		return nil, badBlobCredential(env, "credentials.account_key", "must be base64")
	}
	credential, err := blob.NewSharedKeyCredential(s.Account, key.Reveal())
	if err != nil {
		return nil, badBlobCredential(env, "credentials.account_key", "must be one of the account's keys")
	}
	return blobClient(blockblob.NewClientWithSharedKeyCredential(at.String(), credential, options))
}

// badBlobCredential is an error of the field for the admin who saves it, and a failure of authentication afterwards.
func badBlobCredential(env environment, field, rule string) error {
	if env.saving {
		return invalid(field, "%s", rule)
	}
	return &failure.Error{Code: failure.AzureBlobInvalidAuthentication, Detail: field + " " + rule}
}

// containerURL is where the container is.
func (s blobSettings) containerURL(in azureCloud, n Network) (*url.URL, error) {
	endpoint := s.Endpoint
	if endpoint == "" {
		endpoint = "https://" + s.Account + "." + in.blob
	}
	u, err := n.endpoint("settings.endpoint", endpoint, "credentials.account_key, sas or client_secret")
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" {
		return nil, invalid("settings.endpoint", "must have no query; credentials.sas takes a shared access signature")
	}
	return u.JoinPath(s.Container), nil
}

// blobClient keeps the SDK's error to itself, since it can quote the URL.
func blobClient(c *blockblob.Client, err error) (*blockblob.Client, error) {
	if err != nil {
		return nil, invalid("settings", "no client can be made of these settings and credentials")
	}
	return c, nil
}

// blobName has one client write blobs of every name: it adds to a request's URL the name that the context holds under blobName{}, before the
// request is signed. A client a blob would get a token a blob, and the SDK's package container, which shares them, brings Apache Arrow into the
// binary, 1.8 MB.
type blobName struct{}

// Do implements policy.Policy.
func (blobName) Do(r *policy.Request) (*http.Response, error) {
	if name, ok := r.Raw().Context().Value(blobName{}).(string); ok {
		r.Raw().URL = r.Raw().URL.JoinPath(url.PathEscape(name))
	}
	return r.Next()
}

// blobPut stores blobs in one container.
type blobPut struct {
	client *blockblob.Client
	codes  serviceCodes
	now    func() time.Time
}

// put stores one blob unless one of its name is there: names are made from logs, so that one is this log's, from an earlier attempt. It does
// not write over it, which would fail in a container with an immutability policy.
func (p *blobPut) put(ctx context.Context, o object) error {
	none := azcore.ETagAny
	_, err := p.client.Upload(context.WithValue(ctx, blobName{}, o.key), streaming.NopCloser(bytes.NewReader(o.body)), &blockblob.UploadOptions{
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: &o.contentType},
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &none}},
	})
	if err == nil || blobExists(err) {
		return nil
	}
	return p.codes.failure(err, p.now())
}

// blobExists says whether a blob was refused because one of its name is there. A signature that allows to create and not to write gives
// UnauthorizedBlobOverwrite, an immutability policy BlobImmutableDueToPolicy.
func blobExists(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return false
	}
	switch answer.ErrorCode {
	case "BlobAlreadyExists", "UnauthorizedBlobOverwrite", "BlobImmutableDueToPolicy":
		return true
	}
	return false
}

// blobCodes maps the errors of Azure Blob.
//
// Sources: "Common REST API error codes" and "Blob Storage error codes" of the Azure Storage REST API reference.
func blobCodes(said discretion) serviceCodes {
	return serviceCodes{
		known:        blobKnown,
		said:         said,
		native:       blobCode,
		status:       blobStatus,
		hostNotFound: failure.AzureBlobAccountNotFound,
		tokenRefused: failure.AzureBlobPermissionMismatch,
		throttled:    failure.AzureBlobThrottled,
		serverError:  failure.AzureBlobServerError,
	}
}

func blobCode(native string) failure.Code {
	switch native {
	case "ContainerNotFound", "ContainerDisabled", "ContainerBeingDeleted", "InvalidResourceName":
		return failure.AzureBlobContainerNotFound
	case "ResourceNotFound", "AccountIsDisabled":
		return failure.AzureBlobAccountNotFound
	case "AuthorizationPermissionMismatch", "AuthorizationFailure", "InsufficientAccountPermissions", "AuthorizationSourceIPMismatch",
		"AuthorizationProtocolMismatch", "AuthorizationServiceMismatch", "AuthorizationResourceTypeMismatch", "KeyBasedAuthenticationNotPermitted":
		return failure.AzureBlobPermissionMismatch
	case "InvalidAuthenticationInfo", "NoAuthenticationInformation", "AuthenticationFailed":
		return failure.AzureBlobInvalidAuthentication
	case "ServerBusy":
		return failure.AzureBlobThrottled
	case "InternalError", "OperationTimedOut":
		return failure.AzureBlobServerError
	}
	return ""
}

func blobStatus(status int) failure.Code {
	switch {
	case status == http.StatusUnauthorized:
		return failure.AzureBlobInvalidAuthentication
	case status == http.StatusForbidden:
		return failure.AzureBlobPermissionMismatch
	case status == http.StatusNotFound:
		return failure.AzureBlobAccountNotFound
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return failure.AzureBlobThrottled
	case status >= 500:
		return failure.AzureBlobServerError
	case status >= 400:
		return failure.AzureBlobRejected
	}
	return ""
}
