package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// externalIDToBe stands in the trust policy where a customer puts the external id of its workspace.
const externalIDToBe = "EXTERNAL-ID"

// trustPolicy is what a customer's role for an S3 destination trusts: this account, as far as the functions of
// the stage ask, and only under the external id of the customer's workspace.
//
// The account is the principal, not the roles themselves. IAM keeps a role in a trust policy by its unique id,
// so that the policy is void once the role is made again
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html). The condition
// takes the roles by their path.
func trustPolicy(stack awscdk.Stack, s Props) *string {
	return stack.ToJsonString(map[string]any{
		"Version": "2012-10-17",
		"Statement": []map[string]any{{
			"Effect":    "Allow",
			"Action":    "sts:AssumeRole",
			"Principal": map[string]any{"AWS": iam(stack, "root")},
			"Condition": map[string]any{
				"StringEquals": map[string]any{"sts:ExternalId": externalIDToBe},
				"ArnLike":      map[string]any{"aws:PrincipalArn": trustedRoles(stack, s)},
			},
		}},
	}, nil)
}

// trustedRoles is the pattern of the ARNs of the functions' roles.
func trustedRoles(stack awscdk.Stack, s Props) *string { return iam(stack, "role"+s.rolePath()+"*") }

func iam(stack awscdk.Stack, resource string) *string {
	return stack.FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("iam"), Region: jsii.String(""), Resource: jsii.String(resource), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
	})
}
