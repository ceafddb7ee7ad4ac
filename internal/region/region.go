// Package region is what is known of AWS's regions, as far as a deployment depends on it. One table feeds the
// refusal at synthesis, auditrelay doctor and the page on deploying.
//
// All that the stack is made of is where Lambda is: SQS, DynamoDB, S3, KMS, EventBridge and its Scheduler, REST APIs
// of API Gateway, CloudWatch, SNS. SES alone is not. Sources: the pages "endpoints and quotas" of each service in
// AWS's General Reference, such as https://docs.aws.amazon.com/general/latest/gr/ses.html, and the tables of
// endpoints of AWS's SDK for Go (service/lambda, service/scheduler and service/sesv2, internal/endpoints), which
// are made from AWS's own.
package region

import "strings"

// Region is a region in which Lambda is.
type Region struct {
	// Name is AWS's, such as eu-central-1.
	Name string
	// Mails says that SES is there too.
	Mails bool
}

// All are the regions of the partitions that anybody can have an account in.
func All() []Region {
	const mails = true
	return []Region{
		{"af-south-1", mails}, {"ap-east-1", false}, {"ap-east-2", false}, {"ap-northeast-1", mails}, {"ap-northeast-2", mails},
		{"ap-northeast-3", mails}, {"ap-south-1", mails}, {"ap-south-2", mails}, {"ap-southeast-1", mails}, {"ap-southeast-2", mails},
		{"ap-southeast-3", mails}, {"ap-southeast-4", mails}, {"ap-southeast-5", mails}, {"ap-southeast-6", false},
		{"ap-southeast-7", mails}, {"ca-central-1", mails}, {"ca-west-1", mails}, {"eu-central-1", mails}, {"eu-central-2", mails},
		{"eu-north-1", mails}, {"eu-south-1", mails}, {"eu-south-2", mails}, {"eu-west-1", mails}, {"eu-west-2", mails},
		{"eu-west-3", mails}, {"il-central-1", mails}, {"me-central-1", mails}, {"me-south-1", mails}, {"mx-central-1", false},
		{"sa-east-1", mails}, {"us-east-1", mails}, {"us-east-2", mails}, {"us-west-1", mails}, {"us-west-2", mails},
		{"us-gov-east-1", mails}, {"us-gov-west-1", mails}, {"eusc-de-east-1", mails}, {"cn-north-1", false}, {"cn-northwest-1", false},
	}
}

// Find gives a region by its name; known is false for one that is not in the table, such as one that is newer.
func Find(name string) (r Region, known bool) {
	for _, r := range All() {
		if r.Name == name {
			return r, true
		}
	}
	return Region{}, false
}

// Partition is the part of AWS that a region is in. Accounts, roles and identities of one are none in another
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).
func Partition(name string) string {
	for prefix, partition := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc", "us-iso": "aws-iso", "eu-iso": "aws-iso"} {
		if strings.HasPrefix(name, prefix) {
			return partition
		}
	}
	return "aws"
}

// Refusal says why a stack cannot do its work in a region, and what to do.
type Refusal struct{ Found, Do string }

// Error joins both.
func (r *Refusal) Error() string { return r.Found + ": " + r.Do }

// Check says whether a stack can work in a region, with mails leaving from another; mails is empty for the same.
// The error is a *Refusal. A region that is not in the table is not refused.
func Check(stack, mails string) error {
	from := stack
	if mails != "" {
		from = mails
	}
	if Partition(from) != Partition(stack) {
		return &Refusal{"mails cannot leave from " + from + ": it is in another partition of AWS than " + stack + ", and no role reaches from one into the other",
			advice(stack)}
	}
	if r, known := Find(from); known && !r.Mails {
		return &Refusal{from + " has no SES, by which mails leave", advice(stack)}
	}
	return nil
}

// advice names a region for mails that is in reach, if there is one.
func advice(stack string) string {
	if near := nearest(stack); near != "" {
		return "give mailRegion, a region with SES, such as `--context mailRegion=" + near + "`"
	}
	return "deploy in another partition: this one has no SES at all"
}

// nearest is a region with SES in the same partition, of the same part of the world if there is one.
func nearest(stack string) string {
	part, _, _ := strings.Cut(stack, "-")
	near := map[string]string{"ap": "ap-southeast-1", "ca": "ca-central-1", "eu": "eu-central-1", "il": "eu-central-1", "me": "eu-central-1", "af": "af-south-1"}
	if r, known := Find(near[part]); known && Partition(stack) == "aws" {
		return r.Name
	}
	for _, r := range All() {
		if r.Mails && Partition(r.Name) == Partition(stack) && (Partition(stack) != "aws" || r.Name == "us-east-1") {
			return r.Name
		}
	}
	return ""
}
