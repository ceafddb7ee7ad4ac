package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// apiStage is the API's one stage. It stands in the address, before /v1.
const apiStage = "api"

// newAPI puts the management API behind a REST API that takes signed requests only, and makes the policy for the
// roles that may send them. Function URLs and HTTP APIs do not exist in every region, REST APIs do
// (docs/decisions/0085-the-api-behind-a-rest-api.md).
func newAPI(stack awscdk.Stack, s Props, admin awslambda.Function) (awsapigateway.RestApi, awsiam.ManagedPolicy) {
	api := awsapigateway.NewRestApi(stack, jsii.String("Api"), &awsapigateway.RestApiProps{
		RestApiName:           jsii.String(s.stackName()),
		Description:           jsii.String("The management API of " + s.stackName()),
		EndpointConfiguration: &awsapigateway.EndpointConfiguration{Types: &[]awsapigateway.EndpointType{awsapigateway.EndpointType_REGIONAL}},
		Deploy:                jsii.Bool(false), // below, once it has its method
		CloudWatchRole:        jsii.Bool(false), // it would be the account's, not the stack's
	})
	api.Node().TryRemoveChild(jsii.String("Endpoint")) // an output that the stack has under a name of its own
	api.Root().AddResource(jsii.String("{proxy+}"), nil).AddMethod(jsii.String("ANY"),
		awsapigateway.NewLambdaIntegration(admin, &awsapigateway.LambdaIntegrationOptions{
			Proxy: jsii.Bool(true), AllowTestInvoke: jsii.Bool(false), Timeout: seconds(adminTimeout),
		}),
		&awsapigateway.MethodOptions{AuthorizationType: awsapigateway.AuthorizationType_IAM})
	// API Gateway refuses to deploy an API without methods, so the deployment stands after them in the template too, for
	// those that make resources in its order.
	api.SetDeploymentStage(awsapigateway.NewStage(stack, jsii.String("ApiStage"), &awsapigateway.StageProps{
		StageName: jsii.String(apiStage), Deployment: awsapigateway.NewDeployment(stack, jsii.String("ApiDeployment"), &awsapigateway.DeploymentProps{Api: api}),
	}))
	return api, awsiam.NewManagedPolicy(stack, jsii.String("Operator"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Manage the workspaces and destinations of " + s.stackName()),
		Statements: &[]awsiam.PolicyStatement{
			allow(jsii.Strings(*api.ArnForExecuteApi(jsii.String("*"), jsii.String("/*"), jsii.String(apiStage))), "execute-api:Invoke"),
		},
	})
}
