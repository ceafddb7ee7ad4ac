// Command app is the CDK app: it turns the settings of a deployment into one CloudFormation stack. The CDK command line
// runs it, see cdk.json.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/auditrelay/auditrelay/infra"
)

func main() {
	if err := synth(); err != nil {
		fmt.Fprintln(os.Stderr, "auditrelay:", err)
		os.Exit(1)
	}
}

func synth() error {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	// The CDK command line sets these variables when it has credentials: without any it can show a template, but deploy
	// nothing.
	props, err := infra.FromContext(contextOf(app), os.Getenv("CDK_DEFAULT_ACCOUNT"), os.Getenv("CDK_DEFAULT_REGION"))
	if err != nil {
		return err
	}
	props.Build = "build"
	if err := props.CheckBuild(); err != nil {
		return err
	}
	infra.New(app, props.ID(), props)
	app.Synth(nil)
	return nil
}

// contextOf gives the settings that were written in cdk.json or given with --context.
func contextOf(app awscdk.App) map[string]any {
	context, ok := app.Node().GetAllContext(nil).(map[string]any)
	if !ok {
		return nil
	}
	return context
}
