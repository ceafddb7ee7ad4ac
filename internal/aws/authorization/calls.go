package authorization

// Needs gives the actions that an operation of an SDK's client takes, by the reference's tables of API
// operations, such as https://docs.aws.amazon.com/service-authorization/latest/reference/list_dynamodb.html.
// known is false for an operation that is not in the table: whoever calls a new one adds it. client is the
// name of the SDK's package.
func Needs(client, operation string) (actions []string, known bool) {
	actions, known = map[string][]string{
		"cloudwatchlogs FilterLogEvents": {"logs:FilterLogEvents"},

		"dynamodb BatchGetItem":   {"dynamodb:BatchGetItem"},
		"dynamodb BatchWriteItem": {"dynamodb:BatchWriteItem"},
		"dynamodb DeleteItem":     {"dynamodb:DeleteItem"},
		"dynamodb GetItem":        {"dynamodb:GetItem"},
		"dynamodb PutItem":        {"dynamodb:PutItem"},
		"dynamodb Query":          {"dynamodb:Query"},
		"dynamodb Scan":           {"dynamodb:Scan"},
		"dynamodb UpdateItem":     {"dynamodb:UpdateItem"},
		// Each item of a transaction takes the action of its kind. All of ours put one.
		"dynamodb TransactWriteItems": {"dynamodb:PutItem"},
		// The SDK asks for endpoints only where endpoint discovery is switched on, which it is for Timestream
		// alone.
		"dynamodb DescribeEndpoints": nil,

		"eventbridge PutEvents": {"events:PutEvents"},

		"kms Decrypt":         {"kms:Decrypt"},
		"kms GenerateDataKey": {"kms:GenerateDataKey"},

		// A missing object is answered with 404 only to those who may list the bucket, else with 403
		// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, "Permissions").
		"s3 GetObject":    {"s3:GetObject", "s3:ListBucket"},
		"s3 PutObject":    {"s3:PutObject"},
		"s3 DeleteObject": {"s3:DeleteObject"},
		// Asked by verification of an S3 destination, in the customer's role.
		"s3 GetBucketLocation": {"s3:GetBucketLocation"},
		// The SDK opens sessions for directory buckets alone.
		"s3 CreateSession": nil,

		// Who makes a schedule passes its role to the service
		// (https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html).
		"scheduler CreateSchedule": {"scheduler:CreateSchedule", "iam:PassRole"},
		"scheduler DeleteSchedule": {"scheduler:DeleteSchedule"},
		"scheduler GetSchedule":    {"scheduler:GetSchedule"},

		"sesv2 SendEmail":             {"ses:SendEmail"},
		"sqs ChangeMessageVisibility": {"sqs:ChangeMessageVisibility"},
		"sqs DeleteMessageBatch":      {"sqs:DeleteMessage"},
		"sqs SendMessageBatch":        {"sqs:SendMessage"},
		"sqs SendMessage":             {"sqs:SendMessage"},
		"sts AssumeRole":              {"sts:AssumeRole"},
	}[client+" "+operation]
	return actions, known
}
