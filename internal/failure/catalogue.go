package failure

// Entry is one line of the catalogue.
type Entry struct {
	Code Code
	// Kind is the destination kind in words ("S3"), or "Any" for codes that every kind can give.
	Kind string
	// Status is the error as the service itself names it, and as mails show it.
	Status string
	Class  Class
	// Description is one sentence: what the failure means.
	Description string
	// Guidance tells the admin what to do to get logs flowing again.
	Guidance string
}

// The codes. What each means stands in the catalogue below.
const (
	Unknown Code = "unknown"

	ConfigInvalid     Code = "config.invalid"
	ConfigUnknownKind Code = "config.unknown_kind"
	ConfigCredentials Code = "config.credentials_unavailable"

	NetDNS         Code = "net.dns"
	NetRefused     Code = "net.refused"
	NetUnreachable Code = "net.unreachable"
	NetReset       Code = "net.reset"
	NetTimeout     Code = "net.timeout"
	NetTLS         Code = "net.tls"
	NetBlocked     Code = "net.blocked"
	NetInterrupted Code = "net.interrupted"

	S3RegionMismatch    Code = "s3.region_mismatch"
	S3RoleInvalid       Code = "s3.role_invalid"
	S3RoleOpen          Code = "s3.role_open"
	S3PermissionDenied  Code = "s3.permission_denied"
	S3BucketNotFound    Code = "s3.bucket_not_found"
	S3BucketNameInvalid Code = "s3.bucket_name_invalid"
	S3OwnerUnconfirmed  Code = "s3.bucket_owner_unconfirmed"
	S3CredentialsWrong  Code = "s3.credentials_invalid"
	S3PathStyleRefused  Code = "s3.path_style_refused"
	S3KeyUnusable       Code = "s3.kms_key_unusable"
	S3Throttled         Code = "s3.throttled"
	S3ServerError       Code = "s3.server_error"
	S3Refused           Code = "s3.refused"
	S3Rejected          Code = "s3.rejected"

	HTTPNotFound        Code = "http.not_found"
	HTTPForbidden       Code = "http.forbidden"
	HTTPUnauthorized    Code = "http.unauthorized"
	HTTPTimeout         Code = "http.request_timeout"
	HTTPThrottled       Code = "http.throttled"
	HTTPServerError     Code = "http.server_error"
	HTTPRedirect        Code = "http.redirect"
	HTTPTokenRefused    Code = "http.token_refused"
	HTTPLogRefused      Code = "http.log_refused"
	HTTPLogTooLarge     Code = "http.log_too_large"
	HTTPUnexpectedReply Code = "http.unexpected_status"
	HTTPUnconfirmed     Code = "http.not_acknowledged"

	AzureMonitorInvalidAuthorization Code = "azure_monitor.invalid_authorization"
	AzureMonitorSignatureError       Code = "azure_monitor.signature_error"
	AzureMonitorDestinationNotFound  Code = "azure_monitor.destination_not_found"
	AzureMonitorCredentialsInvalid   Code = "azure_monitor.credentials_invalid"
	AzureMonitorThrottled            Code = "azure_monitor.throttled"
	AzureMonitorServerError          Code = "azure_monitor.server_error"
	AzureMonitorLogTooLarge          Code = "azure_monitor.log_too_large"
	AzureMonitorRejected             Code = "azure_monitor.rejected"

	AzureBlobContainerNotFound     Code = "azure_blob.container_not_found"
	AzureBlobAccountNotFound       Code = "azure_blob.account_not_found"
	AzureBlobPermissionMismatch    Code = "azure_blob.permission_mismatch"
	AzureBlobInvalidAuthentication Code = "azure_blob.invalid_authentication"
	AzureBlobThrottled             Code = "azure_blob.throttled"
	AzureBlobServerError           Code = "azure_blob.server_error"
	AzureBlobRejected              Code = "azure_blob.rejected"

	GCSBucketNotFound     Code = "gcs.bucket_not_found"
	GCSPermissionDenied   Code = "gcs.permission_denied"
	GCSCredentialsInvalid Code = "gcs.credentials_invalid"
	GCSBucketNameInvalid  Code = "gcs.bucket_name_invalid"
	GCSThrottled          Code = "gcs.throttled"
	GCSServerError        Code = "gcs.server_error"
	GCSRejected           Code = "gcs.rejected"
)

// Find gives the entry of a code. A code that is not in the catalogue, from a newer version say, gets the entry of Unknown under its own name.
func Find(code Code) Entry {
	if e, ok := find(code); ok {
		return e
	}
	e, _ := find(Unknown)
	e.Code = code
	return e
}

// General says whether a code stands for all that a service may answer and no other code is for, so that what it did answer
// says more than the catalogue's status.
func General(code Code) bool {
	switch code {
	case S3Refused, S3Rejected, S3ServerError, HTTPServerError, HTTPRedirect, HTTPUnexpectedReply,
		AzureMonitorServerError, AzureBlobServerError, AzureBlobRejected, GCSServerError, GCSRejected, Unknown:
		return true
	}
	return false
}

// Known says whether the code stands in the catalogue.
func Known(code Code) bool {
	_, ok := find(code)
	return ok
}

func find(code Code) (Entry, bool) {
	for _, e := range catalogue {
		if e.Code == code {
			return e, true
		}
	}
	return Entry{}, false
}

// Catalogue gives every entry, in the order of docs/errors.md.
func Catalogue() []Entry {
	return append([]Entry(nil), catalogue[:]...)
}

// catalogue is THE table. It is a constant in all but name: nothing writes to it.
var catalogue = [...]Entry{
	{S3RegionMismatch, "S3", "301 Moved Permanently", Connection,
		"The connection's region is not the region of the bucket.",
		"Look up the bucket's region in the S3 console (Properties, AWS Region) and set the connection to that region."},
	{S3RoleInvalid, "S3", "403 Forbidden", Connection,
		"The role ARN is invalid, or the role does not trust this system.",
		"In the IAM console check that the role exists, that its ARN is the one in the connection, and that its trust policy names this system's roles and the workspace's external id."},
	{S3RoleOpen, "S3", "Role without external id", Connection,
		"The role can be assumed without the external id, so another customer of this system who names it could write to the bucket.",
		"In the IAM console add the condition StringEquals on sts:ExternalId to the role's trust policy, with the external id that the workspace shows, and try again."},
	{S3PermissionDenied, "S3", "403 Forbidden", Connection,
		"The connection lacks the permissions it needs on the bucket.",
		"Grant the role s3:PutObject on the bucket and prefix of the connection, and look for a bucket policy or an organization policy that denies it."},
	{S3OwnerUnconfirmed, "S3", "403 Forbidden", Connection,
		"S3 does not confirm that the bucket belongs to the account that the connection expects: another account may have its name now, or the connection has no permission on the bucket at all.",
		"Look into the S3 console of the expected account (the role's, or the setting bucket_owner). If the bucket is not there, somebody else has its name: choose a bucket of another name. If it is there, grant s3:PutObject and s3:GetBucketLocation on it."},
	{S3BucketNotFound, "S3", "404 Not Found", Connection,
		"The bucket does not exist; it may have been deleted.",
		"Create the bucket again, or set the connection to a bucket that exists."},
	{S3BucketNameInvalid, "S3", "400 Bad Request", Connection,
		"The bucket name is invalid.",
		"Correct the bucket name in the connection: 3 to 63 lower-case letters, digits, dots and hyphens."},
	{S3CredentialsWrong, "S3", "403 Forbidden", Connection,
		"The access key does not exist, or the secret key does not match it.",
		"Create a new access key at the storage provider and save it in the connection."},
	{S3PathStyleRefused, "S3", "403 Forbidden", Connection,
		"The store takes a bucket's name in the host only, not in the path.",
		"Set addressing to virtual_host in the connection."},
	{S3KeyUnusable, "S3", "400 Bad Request", Connection,
		"The KMS key of the connection cannot be used.",
		"In the KMS console check that the key is enabled and in the bucket's region, and grant the role kms:GenerateDataKey on it."},
	{S3Throttled, "S3", "503 Slow Down", Transient,
		"The bucket receives more requests than it can take at the moment.",
		"Nothing needs doing at first: delivery slows down and goes on by itself. If it lasts, write to fewer buckets' prefixes at once."},
	{S3ServerError, "S3", "5xx", Transient,
		"The storage service has a fault of its own.",
		"Nothing needs doing at first: delivery is retried. If it lasts, look at the status page of the storage service."},
	{S3Refused, "S3", "401 or 403", Connection,
		"The storage service refuses the connection for a reason that is not in this list.",
		"Look up the service's own error code in its documentation, and check the access key, its permissions and the account at the storage provider."},
	{S3Rejected, "S3", "4xx", Transient,
		"The storage service refuses the request for a reason that is not in this list.",
		"Look into the bucket's settings (object lock, encryption, ownership) for a rule that refuses new objects."},

	{HTTPNotFound, "HTTP", "404 Destination Not Found", Connection,
		"The URL leads nowhere: it is mistyped, or what it named was moved or deleted.",
		"Check the URL in the connection against the one that the receiving system shows."},
	{HTTPForbidden, "HTTP", "403 Forbidden", Connection,
		"The connection is known to the receiver, but lacks permissions.",
		"Give the connection's account the permission to write logs at the receiver, or use a token that has it."},
	{HTTPUnauthorized, "HTTP", "401 Unauthorized", Connection,
		"Authentication is missing or wrong, an invalid token for example.",
		"Create a new token or password at the receiver and save it in the connection."},
	{HTTPTokenRefused, "HTTP", "401 Unauthorized", Connection,
		"The token endpoint refuses the connection's client id or secret.",
		"Check the client id, secret, scope and token URL of the connection at the identity provider; create a new secret if it has expired."},
	{HTTPRedirect, "HTTP", "3xx Redirect", Connection,
		"The receiver answers with a redirect, which is not followed because logs go only where an admin said.",
		"Set the connection to the URL that the receiver redirects to, if you trust it."},
	{HTTPThrottled, "HTTP", "429 Too Many Requests", Transient,
		"The receiver asks for fewer requests.",
		"Nothing needs doing at first: delivery slows down and goes on by itself. If it lasts, raise the receiver's limit or send logs in batches."},
	{HTTPTimeout, "HTTP", "408 Request Timeout", Transient,
		"The receiver gave up waiting for the request.",
		"Nothing needs doing at first: delivery is retried. If it lasts, look at the receiver's load."},
	{HTTPServerError, "HTTP", "5xx", Transient,
		"The receiver has a fault of its own.",
		"Nothing needs doing at first: delivery is retried. If it lasts, look at the receiver's own logs and status."},
	{HTTPLogRefused, "HTTP", "400 Bad Request", Log,
		"The receiver refuses logs for what stands in them, and may take others.",
		"Look at the receiver's rules for fields and types; if it wants another form, set a message template in the connection."},
	{HTTPLogTooLarge, "HTTP", "413 Content Too Large", Log,
		"The receiver refuses logs for their size, and may take smaller ones.",
		"Raise the receiver's limit on the size of a request, or choose a destination for large logs, such as a bucket."},
	{HTTPUnexpectedReply, "HTTP", "Unexpected status", Transient,
		"The receiver answers with a status that says neither success nor a known failure.",
		"Check that the URL is that of a log intake, not of a page or a proxy."},
	{HTTPUnconfirmed, "HTTP", "200 OK, not acknowledged", Transient,
		"The receiver took the log, and did not confirm in time that it is indexed.",
		"Nothing needs doing at first: the log is sent again. If it lasts, look at the indexers; at Splunk raise the connection's timeout, or switch indexer acknowledgement off for its token."},

	{AzureMonitorInvalidAuthorization, "Azure Monitor", "Invalid Authorization (403 Forbidden)", Connection,
		"The shared key is malformed or invalid, or the application may not write to the data collection rule.",
		"For a shared key, copy it again from the Log Analytics workspace (Agents). For an application, give it the role Monitoring Metrics Publisher on the data collection rule; it takes up to 30 minutes to take effect."},
	{AzureMonitorSignatureError, "Azure Monitor", "Error Building Signature", Connection,
		"The workspace id or the shared key is malformed or invalid, so requests cannot be signed.",
		"Copy the workspace id (a GUID) and the primary key (base64) again from the Log Analytics workspace in the Azure portal."},
	{AzureMonitorDestinationNotFound, "Azure Monitor", "Streaming Destination Not Found", Connection,
		"The workspace id is malformed or invalid, or the Log Analytics workspace or data collection rule was deleted.",
		"In the Azure portal check that the workspace, the data collection endpoint, the rule and its stream exist, and copy their ids again."},
	{AzureMonitorCredentialsInvalid, "Azure Monitor", "401 Unauthorized", Connection,
		"The application's client secret is wrong, expired or deleted, or the tenant does not know the application.",
		"Create a new client secret for the application in Microsoft Entra ID and save it in the connection."},
	{AzureMonitorThrottled, "Azure Monitor", "429 Too Many Requests", Transient,
		"The data collection rule receives more than its limit.",
		"Nothing needs doing at first: delivery slows down and goes on by itself. If it lasts, spread the logs over more rules."},
	{AzureMonitorServerError, "Azure Monitor", "5xx", Transient,
		"Azure Monitor has a fault of its own.",
		"Nothing needs doing at first: delivery is retried. If it lasts, look at Azure's status page."},
	{AzureMonitorLogTooLarge, "Azure Monitor", "413 Content Too Large", Log,
		"Azure Monitor refuses logs that are larger than the 1 MB it takes in one call.",
		"Choose a destination for large logs, such as a bucket or a blob container."},
	{AzureMonitorRejected, "Azure Monitor", "400 Bad Request", Log,
		"Azure Monitor refuses logs for what stands in them, and may take others.",
		"Compare the stream's columns in the data collection rule with the log's fields."},

	{AzureBlobContainerNotFound, "Azure Blob", "404 ContainerNotFound", Connection,
		"The container was disabled or deleted.",
		"Create the container again, or set the connection to a container that exists."},
	{AzureBlobAccountNotFound, "Azure Blob", "404 ResourceNotFound", Connection,
		"The storage account cannot be found: it was disabled or deleted.",
		"In the Azure portal check that the storage account exists under the name in the connection and that its network rules let this system in."},
	{AzureBlobPermissionMismatch, "Azure Blob", "403 AuthorizationPermissionMismatch", Connection,
		"The user or application lacks access, for example because its client secret expired or was deleted.",
		"Give the application the role Storage Blob Data Contributor on the container; if its client secret has expired, create a new one and save it in the connection."},
	{AzureBlobInvalidAuthentication, "Azure Blob", "401 InvalidAuthenticationInfo", Connection,
		"Required permissions or the token are missing: disabled, deleted or expired.",
		"Create a new key, SAS or client secret in the Azure portal and save it in the connection."},
	{AzureBlobThrottled, "Azure Blob", "503 ServerBusy", Transient,
		"The storage account receives more requests than it can take at the moment.",
		"Nothing needs doing at first: delivery slows down and goes on by itself."},
	{AzureBlobServerError, "Azure Blob", "5xx", Transient,
		"Azure Storage has a fault of its own.",
		"Nothing needs doing at first: delivery is retried. If it lasts, look at Azure's status page."},
	{AzureBlobRejected, "Azure Blob", "4xx", Transient,
		"Azure Storage refuses the request for a reason that is not in this list.",
		"Look into the container's settings (immutability, encryption scope, network rules) for a rule that refuses new blobs."},

	{GCSBucketNotFound, "Google Cloud Storage", "404 Not Found", Connection,
		"The bucket does not exist; it may have been deleted.",
		"Create the bucket again, or set the connection to a bucket that exists."},
	{GCSPermissionDenied, "Google Cloud Storage", "403 Forbidden", Connection,
		"The service account lacks the permission to create objects in the bucket.",
		"Give the service account the role Storage Object Creator on the bucket, and look whether the project's billing is enabled and no organization policy or service perimeter denies it."},
	{GCSCredentialsInvalid, "Google Cloud Storage", "401 Unauthorized", Connection,
		"The service account's key is not valid: it is malformed, expired or deleted, or the account is disabled.",
		"In the Google Cloud console check that the service account is enabled, create a new key in JSON form and save it in the connection."},
	{GCSBucketNameInvalid, "Google Cloud Storage", "400 Bad Request", Connection,
		"The bucket name is invalid.",
		"Correct the bucket name in the connection: 3 to 63 lower-case letters, digits, hyphens, underscores and dots."},
	{GCSThrottled, "Google Cloud Storage", "429 Too Many Requests", Transient,
		"The bucket or the project receives more requests than it can take at the moment.",
		"Nothing needs doing at first: delivery slows down and goes on by itself. If it lasts, look at the project's quotas."},
	{GCSServerError, "Google Cloud Storage", "5xx", Transient,
		"Cloud Storage has a fault of its own.",
		"Nothing needs doing at first: delivery is retried. If it lasts, look at Google Cloud's status page."},
	{GCSRejected, "Google Cloud Storage", "4xx", Transient,
		"Cloud Storage refuses the request for a reason that is not in this list.",
		"Look into the bucket's settings (encryption key, organization policies) for a rule that refuses new objects."},

	{NetDNS, "Any", "Host not found", Transient,
		"The host name of the destination does not resolve.",
		"Check the host name in the connection and its DNS records."},
	{NetRefused, "Any", "Connection refused", Transient,
		"Nothing listens at the destination's address.",
		"Check that the receiver runs and that its port and firewall are right."},
	{NetUnreachable, "Any", "Unreachable", Transient,
		"There is no route to the destination's address.",
		"Check the receiver's network and firewall."},
	{NetReset, "Any", "Connection reset", Transient,
		"The connection was closed before the answer was complete.",
		"Look at the receiver's load and at proxies between."},
	{NetTimeout, "Any", "Timeout", Transient,
		"The destination did not answer in time.",
		"Look at the receiver's load; if it needs longer by nature, raise the time-out of the connection."},
	{NetTLS, "Any", "TLS failure", Connection,
		"No secure connection could be made, because a certificate is expired, not trusted, for another host or without a subject alternative name.",
		"Renew the receiver's certificate, or set its authority as the custom CA of the connection."},
	{NetBlocked, "Any", "Address not allowed", Connection,
		"The destination's address is private, local or reserved, and this deployment does not send there.",
		"Use a public address. An operator can open named private ranges for receivers inside the deployment's own network."},
	{NetInterrupted, "Any", "Interrupted", Transient,
		"The attempt was cut short on this side before the destination answered.",
		"Nothing needs doing: the log is tried again."},
	{ConfigInvalid, "Any", "Invalid settings", Connection,
		"The connection's settings do not work as they stand.",
		"Correct the settings of the connection and save it; saving names the field and the rule."},
	{ConfigUnknownKind, "Any", "Unknown kind", Connection,
		"This version does not know the destination's kind.",
		"Choose one of the kinds that this version knows, or upgrade it."},
	{ConfigCredentials, "Any", "Credentials unreadable", Connection,
		"The connection's stored credentials cannot be decrypted.",
		"Save the connection's credentials again; an operator should look whether the record was restored from elsewhere."},
	{Unknown, "Any", "Unknown error", Transient,
		"The attempt failed in a way that is not in this list.",
		"Nothing needs doing at first: delivery is retried. If it lasts, send the error's text to the operator."},
}
