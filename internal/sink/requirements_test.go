package sink

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// The fifteen errors that a mail must name: from what the service answers to what the admin reads.
func TestEveryRequiredErrorIsNamed(t *testing.T) {
	type named struct {
		Code   failure.Code
		Class  failure.Class
		Status string
	}
	tests := []struct {
		// answer is the service's; open makes a sink for a server that gives it.
		answer answer
		open   func(t *testing.T, url string) (delivery.Sink, error)
		want   named
		// description and guidance are words of theirs.
		description, guidance string
	}{
		{
			answer{status: 301, body: s3PermanentRedirect}, anS3,
			named{"s3.region_mismatch", failure.Connection, "301 Moved Permanently"}, "not the region of the bucket", "set the connection to that region",
		},
		{
			answer{status: 403, body: stsDenied}, anS3Role,
			named{"s3.role_invalid", failure.Connection, "403 Forbidden"}, "role ARN is invalid", "trust policy",
		},
		{
			answer{status: 403, body: s3AccessDenied}, anS3,
			named{"s3.permission_denied", failure.Connection, "403 Forbidden"}, "lacks the permissions", "s3:PutObject",
		},
		{
			answer{status: 404, body: s3NoSuchBucket}, anS3,
			named{"s3.bucket_not_found", failure.Connection, "404 Not Found"}, "does not exist", "Create the bucket again",
		},
		{
			answer{status: 400, body: s3InvalidBucketName}, anS3,
			named{"s3.bucket_name_invalid", failure.Connection, "400 Bad Request"}, "bucket name is invalid", "Correct the bucket name",
		},
		{
			answer{status: 404}, anHTTP,
			named{"http.not_found", failure.Connection, "404 Destination Not Found"}, "moved or deleted", "Check the URL",
		},
		{
			answer{status: 403}, anHTTP,
			named{"http.forbidden", failure.Connection, "403 Forbidden"}, "lacks permissions", "permission to write logs",
		},
		{
			answer{status: 401}, anHTTP,
			named{"http.unauthorized", failure.Connection, "401 Unauthorized"}, "missing or wrong", "new token",
		},
		{
			answer{status: 403, body: collectorDenied}, aMonitor(legacyAPI, testSharedKey),
			named{"azure_monitor.invalid_authorization", failure.Connection, "Invalid Authorization (403 Forbidden)"}, "shared key is malformed or invalid", "copy it again",
		},
		{
			answer{}, aMonitor(legacyAPI, "not base64"),
			named{"azure_monitor.signature_error", failure.Connection, "Error Building Signature"}, "cannot be signed", "primary key (base64)",
		},
		{
			answer{status: 404, body: ingestionNoRule}, aMonitor(ingestionAPI, testClientSecret),
			named{"azure_monitor.destination_not_found", failure.Connection, "Streaming Destination Not Found"}, "was deleted", "copy their ids again",
		},
		{
			blobError(404, "ContainerNotFound", "The specified container does not exist."), aBlob,
			named{"azure_blob.container_not_found", failure.Connection, "404 ContainerNotFound"}, "disabled or deleted", "Create the container again",
		},
		{
			blobError(404, "ResourceNotFound", "The specified resource does not exist."), aBlob,
			named{"azure_blob.account_not_found", failure.Connection, "404 ResourceNotFound"}, "cannot be found", "storage account exists",
		},
		{
			blobError(403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission."), aBlob,
			named{"azure_blob.permission_mismatch", failure.Connection, "403 AuthorizationPermissionMismatch"}, "lacks access", "Storage Blob Data Contributor",
		},
		{
			blobError(401, "InvalidAuthenticationInfo", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.", "WWW-Authenticate", entraChallenge), aBlob,
			named{"azure_blob.invalid_authentication", failure.Connection, "401 InvalidAuthenticationInfo"}, "permissions or the token", "new key, SAS or client secret",
		},
	}
	for _, tt := range tests {
		t.Run(string(tt.want.Code), func(t *testing.T) {
			s, err := tt.open(t, scripted(t, "fails", map[sinktest.Scenario]answer{"fails": tt.answer}, nil))
			if err == nil {
				err = s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err
			}
			entry := failure.Find(failure.Of(err).Code)
			if diff := cmp.Diff(tt.want, named{entry.Code, entry.Class, entry.Status}); diff != "" {
				t.Errorf("named (-want +got), error %v:\n%s", err, diff)
			}
			if !strings.Contains(entry.Description, tt.description) || !strings.Contains(entry.Guidance, tt.guidance) {
				t.Errorf("description %q, guidance %q; want %q and %q in them", entry.Description, entry.Guidance, tt.description, tt.guidance)
			}
		})
	}
}

func anS3(t *testing.T, url string) (delivery.Sink, error) {
	return build(s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "endpoint": url}), s3Keys(t), localEnvironment())
}

// anS3Role has its role refused by the server that plays S3 for the others: it plays STS here.
func anS3Role(t *testing.T, url string) (delivery.Sink, error) {
	useSTS(t, http.NotFoundHandler())
	t.Setenv("AWS_ENDPOINT_URL_STS", url)
	return build(s3Role(t, url), nil, localEnvironment())
}

func anHTTP(t *testing.T, url string) (delivery.Sink, error) {
	return build(directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, map[string]string{"url": url})}, nil, localEnvironment())
}

func aMonitor(api func() monitorAPI, secret string) func(*testing.T, string) (delivery.Sink, error) {
	return func(t *testing.T, url string) (delivery.Sink, error) {
		settings := map[string]string{"endpoint": url}
		for name, value := range api().settings(t) {
			settings[name] = value
		}
		credentials := make(map[string]string)
		for name := range api().credentials {
			credentials[name] = secret
		}
		return build(directory.Destination{Kind: directory.AzureMonitor, Settings: asJSON(t, settings)}, asJSON(t, credentials), localEnvironment())
	}
}

func aBlob(t *testing.T, url string) (delivery.Sink, error) {
	return build(directory.Destination{Kind: directory.AzureBlob, Settings: asJSON(t, map[string]string{"account": "acme", "container": "audit-logs", "endpoint": url + "/acme"})},
		asJSON(t, map[string]string{"account_key": testAccountKey}), localEnvironment())
}
