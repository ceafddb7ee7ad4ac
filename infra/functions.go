package infra

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/auditrelay/auditrelay/internal/config"
)

const (
	// deliverTimeout leaves room for two rounds of attempts (config.Deliver's AttemptLimit, 20 s each) and the writes that follow. Two, because
	// a full batch can hold more destinations than deliver deals with at once.
	deliverTimeout = time.Minute
	// requeueTimeout is a little more than config.Requeue's TimeLimit; a run that came near it has left the rest to the next.
	requeueTimeout = time.Minute
	// requeueMemoryMB gives it a whole processor: the largest page of a drain, 60,000 logs, takes 7 s of one, and a look at 5,000 failing destinations
	// about as much. It needs 60 MB, and in a quiet minute it runs for less than a second.
	requeueMemoryMB = 1769
	expireTimeout   = time.Minute
	// expireMemoryMB gives it six tenths of a processor: to record what TTL removed takes 0.17 s of one for a thousand (make bench), and 2,000 a
	// second are to be dealt with. It needs 50 MB.
	expireMemoryMB = 1024
	// disconnectTimeout and notifyTimeout are for a few calls of AWS services.
	disconnectTimeout = 30 * time.Second
	notifyTimeout     = 30 * time.Second
	// adminTimeout is as long as a REST API waits for an answer, 29 s
	// (https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html).
	// It leaves room for one test of a destination, or one search of the attempts, 20 s each, and for what follows.
	adminTimeout = 29 * time.Second
)

// function is one Lambda function, as far as functions differ.
type function struct {
	name        string
	description string
	timeout     time.Duration
	// memoryMB also sets the share of a processor: 1,769 MB are one.
	memoryMB float64
	// config is the struct of package config that the function loads.
	config any
	// reserved is the concurrency set aside for it, which it also cannot exceed; 0 for none.
	reserved int
	// loops says that the function sends messages that lead to itself, on purpose. Lambda would stop such a chain after 16 rounds and drop its
	// message, so that check is switched off. Every chain is bounded in code: a delivery by the retry table and its seven days, a drain
	// by its backlog.
	loops bool
	may   []awsiam.PolicyStatement
}

// deployed is a function with its name and its log group.
type deployed struct {
	awslambda.Function
	name string
	log  awslogs.LogGroup
}

// newFunction makes a function with a role and a log group of its own. The role is complete from the start: CDK may add nothing to it, so that
// grants.go says all that a function may do.
func newFunction(p parts, f function) deployed {
	stack, s := p.stack, p.s
	id := strings.ToUpper(f.name[:1]) + f.name[1:]
	group := awslogs.NewLogGroup(stack, jsii.String(id+"Log"), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String(s.logGroup(f.name)),
		Retention:     awslogs.RetentionDays_ONE_MONTH, // as long as failed events can be looked up
		EncryptionKey: p.key,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	statements := slices.Concat(f.may, []awsiam.PolicyStatement{allow(jsii.Strings(*group.LogGroupArn()), "logs:CreateLogStream", "logs:PutLogEvents")})
	role := awsiam.NewRole(stack, jsii.String(id+"Role"), &awsiam.RoleProps{
		AssumedBy:      awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Path:           jsii.String(s.rolePath()),
		Description:    jsii.String("What the function " + f.name + " of " + s.stackName() + " may do"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"may": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements})},
	})
	props := &awslambda.FunctionProps{
		Description:  jsii.String(f.description),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_ARM_64(),
		Code:         awslambda.Code_FromAsset(jsii.String(filepath.Join(s.Build, f.name)), nil),
		Handler:      jsii.String("bootstrap"),
		Timeout:      seconds(f.timeout),
		MemorySize:   jsii.Number(f.memoryMB),
		Environment:  environment(f.config),
		Role:         role.WithoutPolicyUpdates(nil),
		LogGroup:     group,
	}
	if f.reserved > 0 {
		props.ReservedConcurrentExecutions = jsii.Number(f.reserved)
	}
	if f.loops {
		props.RecursiveLoop = awslambda.RecursiveLoop_ALLOW
	}
	made := awslambda.NewFunction(stack, jsii.String(id), props)
	// CDK has the function wait for its role by name, in case policies are added to it. The role is complete, so referring to it is enough.
	if raw, ok := made.Node().DefaultChild().(awslambda.CfnFunction); ok {
		raw.AddDeletionOverride(jsii.String("DependsOn"))
	}
	return deployed{Function: made, name: f.name, log: group}
}

func environment(c any) *map[string]*string {
	vars := make(map[string]*string)
	for name, value := range config.Variables(c) {
		vars[name] = jsii.String(value)
	}
	return &vars
}

// metrics is the stage's namespace in CloudWatch.
func (s Props) metrics() string { return "auditrelay/" + s.Stage }

// rolePath is where the functions' roles stand in IAM. Customers trust what is below it, so it is the same in
// every region and in every deploy of the stage, while the names of roles are CloudFormation's.
func (s Props) rolePath() string { return "/auditrelay/" + s.Stage + "/" }

func (s Props) logGroup(function string) string { return "/auditrelay/" + s.Stage + "/" + function }
