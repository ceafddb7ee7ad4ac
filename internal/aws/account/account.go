// Package account sees what of an AWS account matters to a deployment. It changes nothing.
package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	mailtypes "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/auditrelay/auditrelay/internal/doctor"
)

// bootstrapVersion is where CDK's bootstrap stack keeps its version.
const bootstrapVersion = "/cdk-bootstrap/hnb659fds/version"

// See looks at the account and region of a configuration.
func See(ctx context.Context, c aws.Config, p doctor.Plan) doctor.Facts {
	var f doctor.Facts
	var wg sync.WaitGroup
	post := c.Copy()
	post.Region = cmp.Or(p.MailRegion, c.Region)
	for _, look := range []func(){
		func() { f.Caller = answer(caller(ctx, c)) },
		func() { f.Stack = answer(stack(ctx, c, p.StackName())) },
		func() { f.Bootstrap = answer(bootstrap(ctx, c)) },
		func() { f.Concurrency = answer(concurrency(ctx, c)) },
		func() { f.Mail = answer(mail(ctx, post)) },
		func() { f.Sender = answer(sender(ctx, post, p.MailFrom)) },
		func() { f.Names = answer(names(ctx, c, p)) },
	} {
		wg.Go(look)
	}
	wg.Wait()
	return f
}

// answer tells an answer that the caller may not have from any other error.
func answer[T any](value T, err error) doctor.Answer[T] {
	a := doctor.Answer[T]{Value: value}
	api, ok := errors.AsType[smithy.APIError](err)
	switch {
	case err == nil:
	case ok && denied(api.ErrorCode()):
		a.Denied = action(err)
	default:
		a.Err = Brief(err)
	}
	return a
}

// denied are the codes by which services refuse a caller.
func denied(code string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError":
		return true
	}
	return false
}

// action is what the caller may not do, as policies name it.
func action(err error) string {
	op, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return "do that"
	}
	prefixes := map[string]string{
		"CloudFormation": "cloudformation", "CloudWatch Logs": "logs", "EventBridge": "events", "Lambda": "lambda", "Scheduler": "scheduler",
		"SESv2": "ses", "SSM": "ssm", "STS": "sts", "SQS": "sqs",
	}
	return prefixes[op.Service()] + ":" + op.Operation()
}

// Brief is an error of the SDK without what nobody reads: which call, and the service's code.
func Brief(err error) error {
	op, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return err
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Errorf("%s %s: %s", op.Service(), op.Operation(), api.ErrorCode())
	}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return fmt.Errorf("%s %s: the answer, of status %d, is none of the service's", op.Service(), op.Operation(), answer.HTTPStatusCode())
	}
	return fmt.Errorf("%s %s: %w", op.Service(), op.Operation(), op.Err)
}

func caller(ctx context.Context, c aws.Config) (doctor.Caller, error) {
	out, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return doctor.Caller{}, err
	}
	return doctor.Caller{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}, nil
}

// stack gives the zero Stack if there is none: DescribeStacks answers that with a ValidationError, and for no
// other reason where a name is all that it is asked by (AWS, CloudFormation API Reference).
func stack(ctx context.Context, c aws.Config, name string) (doctor.Stack, error) {
	client := cloudformation.NewFromConfig(c)
	out, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "ValidationError" {
		return doctor.Stack{}, nil
	}
	if err != nil {
		return doctor.Stack{}, err
	}
	if len(out.Stacks) == 0 {
		return doctor.Stack{}, nil
	}
	s := doctor.Stack{Status: string(out.Stacks[0].StackStatus), Outputs: make(map[string]string), Resources: make(map[string][]string)}
	for _, o := range out.Stacks[0].Outputs {
		s.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	for pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return s, err
		}
		for _, r := range page.StackResourceSummaries {
			kind := aws.ToString(r.ResourceType)
			s.Resources[kind] = append(s.Resources[kind], aws.ToString(r.PhysicalResourceId))
		}
	}
	return s, nil
}

func bootstrap(ctx context.Context, c aws.Config) (int, error) {
	out, err := ssm.NewFromConfig(c).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(bootstrapVersion)})
	if _, missing := errors.AsType[*ssmtypes.ParameterNotFound](err); missing {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	version, err := strconv.Atoi(aws.ToString(out.Parameter.Value))
	if err != nil {
		return 0, fmt.Errorf("the parameter %s holds no number", bootstrapVersion)
	}
	return version, nil
}

func concurrency(ctx context.Context, c aws.Config) (doctor.Concurrency, error) {
	out, err := lambda.NewFromConfig(c).GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil {
		return doctor.Concurrency{}, err
	}
	if out.AccountLimit == nil {
		return doctor.Concurrency{}, errors.New("the answer of Lambda GetAccountSettings has no limits")
	}
	return doctor.Concurrency{
		Limit: int(out.AccountLimit.ConcurrentExecutions), Unreserved: int(aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions)),
	}, nil
}

func mail(ctx context.Context, c aws.Config) (doctor.Mail, error) {
	out, err := sesv2.NewFromConfig(c).GetAccount(ctx, &sesv2.GetAccountInput{})
	if err != nil {
		return doctor.Mail{}, err
	}
	m := doctor.Mail{Production: out.ProductionAccessEnabled, Sending: out.SendingEnabled, Enforcement: aws.ToString(out.EnforcementStatus)}
	if out.SendQuota != nil {
		m.PerDay, m.PerSecond = out.SendQuota.Max24HourSend, out.SendQuota.MaxSendRate
	}
	return m, nil
}

// sender looks for the identities by which SES may know an address.
func sender(ctx context.Context, c aws.Config, address string) (doctor.Sender, error) {
	if address == "" {
		return doctor.Sender{}, nil
	}
	client := sesv2.NewFromConfig(c)
	domain, err := nearest(ctx, client, strings.ToLower(address[strings.LastIndexByte(address, '@')+1:]))
	if err != nil {
		return doctor.Sender{}, err
	}
	own, err := identity(ctx, client, address)
	return doctor.Sender{Domain: domain, Address: own}, err
}

// nearest looks for a domain, or one above it that is more than a top-level domain. A verified one covers all that
// is below it, and counts before one that is not
// (https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html).
func nearest(ctx context.Context, client *sesv2.Client, domain string) (found doctor.Identity, err error) {
	for ; strings.Contains(domain, "."); _, domain, _ = strings.Cut(domain, ".") {
		one, err := identity(ctx, client, domain)
		if err != nil || one.Verified {
			return one, err
		}
		if !found.Exists {
			found = one
		}
	}
	return found, nil
}

func identity(ctx context.Context, client *sesv2.Client, name string) (doctor.Identity, error) {
	out, err := client.GetEmailIdentity(ctx, &sesv2.GetEmailIdentityInput{EmailIdentity: &name})
	if _, missing := errors.AsType[*mailtypes.NotFoundException](err); missing {
		return doctor.Identity{}, nil
	}
	if err != nil {
		return doctor.Identity{}, err
	}
	return doctor.Identity{Name: name, Exists: true, Verified: out.VerifiedForSendingStatus}, nil
}

// names looks for resources that are called as the stack calls its own. Of several errors it gives one: what
// else was found is given with it.
func names(ctx context.Context, c aws.Config, p doctor.Plan) (list []doctor.Resource, failed error) {
	name := p.StackName()
	found := func(kind, remove string, missing bool, err error) {
		switch {
		case err == nil:
			list = append(list, doctor.Resource{Kind: kind, Name: name, Remove: remove + " " + name})
		case !missing:
			failed = err
		}
	}
	_, err := scheduler.NewFromConfig(c).GetScheduleGroup(ctx, &scheduler.GetScheduleGroupInput{Name: &name})
	_, missing := errors.AsType[*schedulertypes.ResourceNotFoundException](err)
	found("schedule group", "aws scheduler delete-schedule-group --name", missing, err)

	_, err = eventbridge.NewFromConfig(c).DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &name})
	_, missing = errors.AsType[*bustypes.ResourceNotFoundException](err)
	found("event bus", "aws events delete-event-bus --name", missing, err)

	if p.MailRegion == "" { // else the stack makes none
		_, err = sesv2.NewFromConfig(c).GetConfigurationSet(ctx, &sesv2.GetConfigurationSetInput{ConfigurationSetName: &name})
		_, missing = errors.AsType[*mailtypes.NotFoundException](err)
		found("configuration set of SES", "aws sesv2 delete-configuration-set --configuration-set-name", missing, err)
	}

	in := &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/auditrelay/" + p.Stage + "/")}
	groups, err := cloudwatchlogs.NewFromConfig(c).DescribeLogGroups(ctx, in)
	if err != nil {
		return list, err
	}
	for _, g := range groups.LogGroups {
		name = aws.ToString(g.LogGroupName)
		found("log group", "aws logs delete-log-group --log-group-name", false, nil)
	}
	return list, failed
}
