package authorization

import "slices"

// EventSource gives the actions that Lambda's pollers take on an event source in the name of a function's
// role, by the managed policies that AWS publishes for such roles: AWSLambdaSQSQueueExecutionRole and
// AWSLambdaDynamoDBExecutionRole
// (https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaDynamoDBExecutionRole.html).
// service is that of the source's ARN.
func EventSource(service string) []string {
	switch service {
	case "sqs":
		return []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
	case "dynamodb":
		return []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}
	}
	return nil
}

// Logging gives the actions that Lambda takes on a function's log group in the name of its role, by
// AWSLambdaBasicExecutionRole, less logs:CreateLogGroup: the stack makes the group
// (https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaBasicExecutionRole.html).
func Logging() []string { return []string{"logs:CreateLogStream", "logs:PutLogEvents"} }

// Encrypted gives the actions on a customer managed key that an action takes on a resource which is encrypted
// with it. The service asks for them in the caller's name:
//
//   - SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
//   - S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
//   - DynamoDB: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
func Encrypted(action string) []string {
	switch action {
	case "sqs:SendMessage":
		return []string{"kms:GenerateDataKey", "kms:Decrypt"}
	case "s3:PutObject":
		return []string{"kms:GenerateDataKey"}
	case "sqs:ReceiveMessage", "s3:GetObject":
		return []string{"kms:Decrypt"}
	}
	if a, known := Actions()[action]; known && (slices.Contains(a.On, "table") || slices.Contains(a.On, "stream")) {
		return []string{"kms:Decrypt"}
	}
	return nil
}
