package infra

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// The metrics that the functions write into their logs, see internal/delivery/lines.go. Each stands once for all destinations, and once with
// the dimension kind.
const (
	accepted       = "Accepted"
	delivered      = "Delivered"
	failed         = "Failed"
	unrouted       = "Unrouted"
	rejected       = "Rejected"
	repeated       = "Repeated"
	attempts       = "Attempts"
	attemptsFailed = "AttemptsFailed"
	held           = "Held"
	faults         = "Faults"
	stuck          = "Stuck"
	// oldestAge, in seconds, is what requeue finds every 15 minutes among the logs of destinations that fail, are disconnected or drain.
	oldestAge = "OldestAge"
)

// The metrics that notify writes, see internal/notice/lines.go.
const (
	mailsSent         = "MailsSent"
	mailsRefused      = "MailsRefused"
	mailsUncertain    = "MailsUncertain"
	addressesRefused  = "MailAddressesRefused"
	withoutRecipients = "MailsWithoutRecipient"
)

const (
	minute = time.Minute
	// interval is what graphs and most alarms look at.
	interval = 5 * time.Minute
	// sweep is a little more than the pause between two measurements of oldestAge.
	sweep    = 20 * time.Minute
	lifetime = delivery.Lifetime
)

const (
	sum     = "Sum"
	maximum = "Maximum"
	p99     = "p99"
)

// meter makes metrics of one stage.
type meter struct{ namespace string }

// of is a metric of the functions' own over all destinations.
func (m meter) of(name, statistic string, period time.Duration) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(m.namespace), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: seconds(period), Label: jsii.String(name),
	})
}

// byKind is one line for each kind of destination that has the metric.
func (m meter) byKind(name string) awscloudwatch.IMetric {
	search := fmt.Sprintf(`SEARCH('{"%s",kind} MetricName="%s"', 'Sum', %d)`, m.namespace, name, int(interval.Seconds()))
	return expression(search, "", interval, nil)
}

func expression(text, label string, period time.Duration, using map[string]awscloudwatch.IMetric) awscloudwatch.IMetric {
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: jsii.String(text), Label: jsii.String(label), Period: seconds(period), UsingMetrics: &using,
	})
}

func depth(q queue, label string) awscloudwatch.IMetric {
	return q.MetricApproximateNumberOfMessagesVisible(options(maximum, minute, label))
}

func age(q queue, label string) awscloudwatch.IMetric {
	return q.MetricApproximateAgeOfOldestMessage(options(maximum, minute, label))
}

func options(statistic string, period time.Duration, label string) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Statistic: jsii.String(statistic), Period: seconds(period), Label: jsii.String(label)}
}

// tableMetric is a metric of a table, or of one of its indexes.
func tableMetric(t awsdynamodb.Table, index, name, label string) awscloudwatch.IMetric {
	dimensions := map[string]*string{"TableName": t.TableName()}
	if index != "" {
		dimensions["GlobalSecondaryIndexName"] = jsii.String(index)
	}
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/DynamoDB"), MetricName: jsii.String(name), DimensionsMap: &dimensions,
		Statistic: jsii.String(sum), Period: seconds(interval), Label: jsii.String(label),
	})
}

// bounceRate is the share of a configuration set's mails that came back, as SES reckons it.
func bounceRate(p post) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/SES"), MetricName: jsii.String("Reputation.BounceRate"),
		DimensionsMap: &map[string]*string{"ses:configuration-set": p.set.ConfigurationSetName()},
		Statistic:     jsii.String(maximum), Period: seconds(time.Hour), Label: jsii.String("bounce rate"),
	})
}

// iteratorAge is how far, in milliseconds, a function lies behind its stream.
func iteratorAge(f awslambda.Function) awscloudwatch.IMetric {
	return f.Metric(jsii.String("IteratorAge"), options(maximum, minute, "expire behind the stream, ms"))
}
