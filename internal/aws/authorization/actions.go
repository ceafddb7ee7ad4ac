// Package authorization is what AWS documents about permissions, as far as the stack's policies and the
// functions' calls go: on which resources and under which condition keys an action can be granted, which
// actions a call needs, and what a service does in the name of a role. The tests of the template and the
// end-to-end tests hold the grants against it, so that no grant rests on what the code itself believes.
package authorization

// Action is a row of the Service Authorization Reference
// (https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html).
type Action struct {
	// On are the types of resources that it can be granted on. An action without any can be granted on "*"
	// alone, and a grant on anything narrower grants nothing.
	On []string
	// Keys are the condition keys of the action that the stack's policies use. A condition on a key that the
	// action does not have is never met.
	Keys []string
}

// Actions are those that the stack's policies name, each by its row. An integration test holds the table
// against the reference.
func Actions() map[string]Action {
	item := []string{"dynamodb:LeadingKeys"}
	crypto := Action{On: []string{"key"}, Keys: []string{"kms:ViaService"}}
	data := Action{On: []string{"key"}, Keys: []string{"kms:ViaService", "kms:EncryptionContext:${EncryptionContextKey}"}}
	return map[string]Action{
		"dynamodb:BatchGetItem":   {On: []string{"table"}, Keys: item},
		"dynamodb:BatchWriteItem": {On: []string{"table"}, Keys: item},
		"dynamodb:DeleteItem":     {On: []string{"table"}, Keys: item},
		"dynamodb:GetItem":        {On: []string{"table"}, Keys: item},
		"dynamodb:PutItem":        {On: []string{"table"}, Keys: item},
		"dynamodb:UpdateItem":     {On: []string{"table"}, Keys: item},
		"dynamodb:Query":          {On: []string{"table", "index"}, Keys: item},
		"dynamodb:Scan":           {On: []string{"table", "index"}},

		"dynamodb:DescribeStream":   {On: []string{"stream"}},
		"dynamodb:GetRecords":       {On: []string{"stream"}},
		"dynamodb:GetShardIterator": {On: []string{"stream"}},
		"dynamodb:ListStreams":      {},

		"events:PutEvents":            {On: []string{"event-bus"}, Keys: []string{"events:source", "events:detail-type"}},
		"execute-api:Invoke":          {On: []string{"execute-api-general"}},
		"iam:PassRole":                {On: []string{"role"}, Keys: []string{"iam:PassedToService"}},
		"kms:Decrypt":                 data,
		"kms:DescribeKey":             crypto,
		"kms:Encrypt":                 crypto,
		"kms:GenerateDataKey":         data,
		"kms:ReEncryptFrom":           crypto,
		"kms:ReEncryptTo":             crypto,
		"lambda:InvokeFunction":       {On: []string{"function"}},
		"logs:CreateLogStream":        {On: []string{"log-stream"}},
		"logs:FilterLogEvents":        {On: []string{"log-group"}},
		"logs:PutLogEvents":           {On: []string{"log-stream"}},
		"s3:DeleteObject":             {On: []string{"object"}},
		"s3:GetObject":                {On: []string{"object"}},
		"s3:ListBucket":               {On: []string{"bucket"}, Keys: []string{"s3:prefix"}},
		"s3:PutObject":                {On: []string{"object"}},
		"scheduler:CreateSchedule":    {On: []string{"schedule"}},
		"scheduler:DeleteSchedule":    {On: []string{"schedule"}},
		"scheduler:GetSchedule":       {On: []string{"schedule"}},
		"ses:SendEmail":               {On: []string{"identity", "configuration-set"}, Keys: []string{"ses:FromAddress"}},
		"sqs:ChangeMessageVisibility": {On: []string{"queue"}},
		"sqs:DeleteMessage":           {On: []string{"queue"}},
		"sqs:GetQueueAttributes":      {On: []string{"queue"}},
		"sqs:GetQueueUrl":             {On: []string{"queue"}},
		"sqs:ReceiveMessage":          {On: []string{"queue"}},
		"sqs:SendMessage":             {On: []string{"queue"}},
		"sts:AssumeRole":              {On: []string{"role"}, Keys: []string{"sts:ExternalId"}},
	}
}

// ARNs are the forms of the resources' names by service and type, of the same reference.
func ARNs() map[string]string {
	return map[string]string{
		"dynamodb index":                  "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}/index/${IndexName}",
		"dynamodb stream":                 "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}/stream/${StreamLabel}",
		"dynamodb table":                  "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}",
		"events event-bus":                "arn:${Partition}:events:${Region}:${Account}:event-bus/${EventBusName}",
		"execute-api execute-api-general": "arn:${Partition}:execute-api:${Region}:${Account}:${ApiId}/${Stage}/${Method}/${ApiSpecificResourcePath}",
		"iam role":                        "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}",
		"kms key":                         "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}",
		"lambda function":                 "arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}",
		"logs log-group":                  "arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}",
		"logs log-stream":                 "arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}:log-stream:${LogStreamName}",
		"s3 bucket":                       "arn:${Partition}:s3:::${BucketName}",
		"s3 object":                       "arn:${Partition}:s3:::${BucketName}/${ObjectName}",
		"scheduler schedule":              "arn:${Partition}:scheduler:${Region}:${Account}:schedule/${GroupName}/${ScheduleName}",
		"ses configuration-set":           "arn:${Partition}:ses:${Region}:${Account}:configuration-set/${ConfigurationSetName}",
		"ses identity":                    "arn:${Partition}:ses:${Region}:${Account}:identity/${IdentityName}",
		"sqs queue":                       "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}",
		"sts role":                        "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}",
	}
}
