package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// newAPI gives the management API its address, which takes signed requests only, and makes the policy for the roles that may send them.
func newAPI(stack awscdk.Stack, s settings, admin awslambda.Function) (awslambda.FunctionUrl, awsiam.ManagedPolicy) {
	url := admin.AddFunctionUrl(&awslambda.FunctionUrlOptions{AuthType: awslambda.FunctionUrlAuthType_AWS_IAM})
	arn := jsii.Strings(*admin.FunctionArn())
	// Lambda asks for both, and this way the second cannot be used to invoke the function with an event of one's own.
	return url, awsiam.NewManagedPolicy(stack, jsii.String("Operator"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Manage the workspaces and destinations of " + s.stackName()),
		Statements: &[]awsiam.PolicyStatement{
			awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions: jsii.Strings("lambda:InvokeFunctionUrl"), Resources: arn,
				Conditions: &map[string]any{"StringEquals": map[string]any{"lambda:FunctionUrlAuthType": "AWS_IAM"}},
			}),
			awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions: jsii.Strings("lambda:InvokeFunction"), Resources: arn,
				Conditions: &map[string]any{"Bool": map[string]any{"lambda:InvokedViaFunctionUrl": true}},
			}),
		},
	})
}
