package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newStack is the whole deployment. Every construct stands directly in the stack: a logical id comes from a construct's path, and a changed
// logical id would replace the resource and its data.
func newStack(scope constructs.Construct, s settings) awscdk.Stack {
	stack := awscdk.NewStack(scope, jsii.String(s.stackName()), &awscdk.StackProps{
		Description: jsii.String("auditrelay (" + s.Stage + "): delivers audit logs to customers' destinations and retries for seven days"),
		Tags:        &map[string]*string{"application": jsii.String("auditrelay"), "stage": jsii.String(s.Stage)},
	})
	key := newKey(stack, s)
	qs := newQueues(stack, key)
	st := newStores(stack, key)
	newFunctions(stack, s, key, qs, st)
	return stack
}

func (s settings) stackName() string { return "auditrelay-" + s.Stage }
