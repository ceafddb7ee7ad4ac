// Command cdk is a CDK app of a company that has stacks of its own, and auditrelay as one of them: what its services
// need of it are references between stacks.
package main

import (
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/auditrelay/auditrelay/infra"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	env := &awscdk.Environment{Account: jsii.String("111122223333"), Region: jsii.String("eu-central-1")}
	relay := infra.New(app, "AuditRelay", &infra.Props{
		Stage:    "prod",
		MailFrom: "Acme Audit <notices@acme.example>",
		Build:    os.Getenv("AUDITRELAY_BUILD"), // where `make build` of a clone, of the same version, put the functions
		Env:      env,
	})

	shop := awscdk.NewStack(app, jsii.String("Shop"), &awscdk.StackProps{Env: env})
	awsiam.NewRole(shop, jsii.String("Checkout"), &awsiam.RoleProps{
		AssumedBy:       awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), nil),
		ManagedPolicies: &[]awsiam.IManagedPolicy{relay.Producer},
	})
	awscdk.NewCfnOutput(shop, jsii.String("AuditQueue"), &awscdk.CfnOutputProps{Value: relay.Ingest.QueueUrl()})
	app.Synth(nil)
}
