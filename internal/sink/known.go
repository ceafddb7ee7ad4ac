package sink

import "strings"

// s3Known says whether a code is one that S3 or an S3-compatible store documents for storing an object.
//
// Sources: "Error responses" of the S3 API Reference, the lists of error codes and of SSE-KMS ones; "Error
// codes" of Cloudflare R2's documentation; "Error responses" of NetApp StorageGRID's; "S3 common response
// status codes" of Red Hat Ceph Storage's.
func s3Known(native string) bool {
	if s3Code(native) != "" && !strings.HasPrefix(native, "KMS.") {
		return true
	}
	switch native {
	case "BadDigest", "BucketRegionError", "ConditionalRequestConflict", "CredentialsNotSupported",
		"EntityTooLarge", "EntityTooSmall", "ExpiredObjectDeleteMarker", "IncompleteBody",
		"InvalidArgument", "InvalidBucketOwnerAWSAccountID", "InvalidBucketState", "InvalidDigest",
		"InvalidEncryptionAlgorithmError", "InvalidObjectState", "InvalidRegionName", "InvalidRequest",
		"InvalidStorageClass", "InvalidURI", "KeyTooLongError", "MalformedXML",
		"MaxMessageLengthExceeded", "MetadataTooLarge", "MethodNotAllowed", "MissingContentLength",
		"MissingRequestBodyError", "MissingSecurityHeader", "NoSuchKey", "NoSuchUpload", "NotImplemented",
		"ObjectLockConfigurationNotFoundError", "OperationAborted", "PreconditionFailed",
		"RequestIsNotMultiPartContent", "RequestTimeTooSkewed", "RequestTorrentOfBucketError",
		"ServerSideEncryptionConfigurationNotFoundError", "TooManyRequests", "UnexpectedContent",
		"UnsupportedArgument", "XAmzContentSHA256Mismatch",
		// SSE-KMS
		"KMS.DisabledException", "KMS.InvalidKeyUsageException", "KMS.KMSInvalidStateException",
		"KMS.InvalidStateException", "KMS.NotFoundException", "KMS.ThrottlingException",
		"KMS.DependencyTimeoutException", "KMS.InternalException", "KMS.KMSInternalException",
		"KMS.KeyUnavailableException", "KMS.IncorrectKeyException",
		// S3-compatible stores
		"Unauthorized", "ExpiredRequest", "KeyTooLong", "QuotaExceeded", "UserSuspended",
		"InvalidObjectName", "UnprocessableEntity":
		return true
	}
	return false
}

// stsKnown says whether a code is one that STS documents for AssumeRole.
//
// Source: the errors of AssumeRole and the common errors in the STS API Reference.
func stsKnown(native string) bool {
	switch native {
	case "MalformedPolicyDocument", "PackedPolicyTooLarge", "InvalidAction", "InvalidQueryParameter",
		"MalformedQueryString", "MissingAction", "MissingParameter", "NotAuthorized",
		"InvalidParameterCombination", "ThrottlingException", "UnrecognizedClientException":
		return true
	}
	return stsCode(native) != ""
}

// blobKnown says whether a code is one that Azure Storage documents for storing a blob.
//
// Sources: "Common REST API error codes" and "Blob Storage error codes" of the Azure Storage REST API
// reference.
func blobKnown(native string) bool {
	switch native {
	case "AccountAlreadyExists", "AccountBeingCreated", "AuthorizationPermissionDenied",
		"BlobAccessTierNotSupportedForAccountType", "BlobArchived", "BlobBeingRehydrated", "BlobNotFound",
		"BlobTierInadequateForContentLength", "ConditionHeadersNotSupported", "ConditionNotMet",
		"ContainerAlreadyExists", "EmptyMetadataKey", "FeatureVersionMismatch",
		"InsufficientAccountPermissions", "InvalidBlobOrBlock", "InvalidBlobTier", "InvalidBlobType",
		"InvalidHeaderValue", "InvalidHttpVerb", "InvalidInput", "InvalidMd5", "InvalidMetadata",
		"InvalidOperation", "InvalidQueryParameterValue", "InvalidRange", "InvalidUri",
		"InvalidXmlDocument", "InvalidXmlNodeValue", "LeaseIdMissing", "LeaseIdMismatchWithBlobOperation",
		"LeaseLost", "Md5Mismatch", "MetadataTooLarge", "MissingContentLengthHeader",
		"MissingRequiredHeader", "MissingRequiredQueryParameter", "MultipleConditionHeadersNotSupported",
		"OutOfRangeInput", "OutOfRangeQueryParameterValue", "RequestBodyTooLarge",
		"RequestUrlFailedToParse", "ResourceAlreadyExists", "ResourceTypeMismatch", "SystemInUse",
		"TargetConditionNotMet", "UnsupportedHeader", "UnsupportedHttpVerb", "UnsupportedQueryParameter",
		"UnsupportedRestVersion", "UnsupportedXmlNode", "BlobAlreadyExists", "UnauthorizedBlobOverwrite",
		"BlobImmutableDueToPolicy":
		return true
	}
	return blobCode(native) != ""
}

// monitorKnown says whether a code is one that Azure Monitor documents for either of its APIs.
//
// Sources: "Logs Ingestion API" (troubleshooting) and "HTTP Data Collector API" (return codes) of Azure
// Monitor's documentation.
func monitorKnown(native string) bool {
	switch native {
	case "AuthorizationFailed", "OperationFailed", "InvalidApiVersion", "MissingApiVersion", "MissingContentType",
		"UnsupportedContentType", "InvalidDataFormat", "InvalidPayload", "InvalidRequest", "InvalidToken",
		"AuthenticationFailed", "Throttled", "TooManyRequests", "UnspecifiedError", "ServiceUnavailable",
		"NotFound", "Forbidden", "Unauthorized", "BadRequest", "InternalServerError",
		"RequestEntityTooLarge":
		return true
	}
	return monitorCode(native) != ""
}

// gcsKnown says whether a reason is one that Cloud Storage documents for storing an object.
//
// Source: "HTTP status and error codes for JSON" of the Cloud Storage documentation.
func gcsKnown(native string) bool {
	switch native {
	case "badRequest", "invalid", "invalidAltValue", "invalidArgument", "invalidParameter", "parseError",
		"required", "turnedDown", "userProjectInconsistent", "userProjectMissing",
		"customerEncryptionAlgorithmIsInvalid", "customerEncryptionKeyFormatIsInvalid",
		"customerEncryptionKeyIsIncorrect", "customerEncryptionKeySha256IsInvalid",
		"insufficientPermissions", "accountDisabled", "countryBlocked", "cloudKmsPermissionDenied",
		"cloudKmsKeyIsDisabled", "cloudKmsKeyIsDestroyed", "domainPolicy", "forbidden",
		"lockedDomainCreationFailure", "objectUnderActiveHold", "retentionPolicyNotMet", "sslRequired",
		"unknownAuth", "userAccountDisabled", "lockedDomainExpired", "notFound", "methodNotAllowed",
		"conflict", "gone", "lengthRequired", "conditionNotMet", "orgPolicyConstraintFailed",
		"requestedRangeNotSatisfiable", "uploadTooLarge", "backendError", "internalError",
		"notImplemented", "gatewayTimeout", "deadlineExceeded", "vpcServiceControls":
		return true
	}
	return gcsCode(native) != ""
}

// tokenKnown says whether a code is one that token endpoints document.
//
// Sources: RFC 6749, 5.2 and 4.1.2.1; RFC 8707, 2; "OAuth 2.0 client credentials flow" and "Handling error
// codes" of the documentation of the Microsoft identity platform.
func tokenKnown(native string) bool {
	switch native {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
		"unsupported_grant_type", "invalid_scope", "access_denied", "server_error",
		"temporarily_unavailable", "invalid_target", "invalid_resource", "interaction_required",
		"unsupported_response_type", "invalid_tenant":
		return true
	}
	return false
}

// entraKnown says whether a number is that of an error that Entra ID gives to an application with a client
// secret.
//
// Source: "Microsoft Entra authentication and authorization error codes", the AADSTS error codes.
func entraKnown(number string) bool {
	switch number {
	case "16003", "50001", "50002", "50003", "50012", "50013", "50020", "50027", "50034", "50049", "50050",
		"50053", "50057", "50059", "50128", "50194", "53000", "53003", "65001", "70000", "70001", "70002",
		"70003", "70011", "75001", "90002", "90013", "90019", "90020", "90023", "90033", "90124",
		"500011", "500014", "500021", "500022", "700016", "700022", "700027", "700030", "700082",
		"900021", "900023", "900144", "900382", "900384", "1000002", "1002016", "7000112", "7000114",
		"7000215", "7000216", "7000218", "7000222", "7000229":
		return true
	}
	return false
}
