package infra

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/jsii-runtime-go"
)

// runbook is the page that has a section for every alarm.
const runbook = "https://github.com/auditrelay/auditrelay/blob/main/docs/runbook.md"

// bouncesAtMost is a little less than the share at which SES puts an account under review.
const bouncesAtMost = 0.04

// alarm is one reason to call a person.
type alarm struct {
	// name is lower case with dashes; it ends with the heading of its section in the runbook, so that alarms of one sort share a section.
	name    string
	section string
	means   string
	metric  awscloudwatch.IMetric
	// above is the limit that a period's value must exceed; with below set, that it must fall short of.
	above, below float64
	// periods in a row must do so. 0 counts as 1.
	periods float64
	// silence is what it means that there is no value; by default, that all is well.
	silence awscloudwatch.TreatMissingData
}

// newAlarms makes every alarm, and the topic that all of them go to.
func newAlarms(stack awscdk.Stack, s Props, key awskms.Key, all []alarm) awssns.Topic {
	topic := newAlarmTopic(stack, s, key)
	action := awscloudwatchactions.NewSnsAction(topic)
	for _, a := range all {
		props := &awscloudwatch.AlarmProps{
			AlarmName:          jsii.String(s.alarmName(a)),
			AlarmDescription:   jsii.String(a.means + " What to do: " + runbook + "#" + a.section),
			Metric:             a.metric,
			Threshold:          jsii.Number(a.above),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
			EvaluationPeriods:  jsii.Number(max(a.periods, 1)),
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		}
		if a.below > 0 {
			props.Threshold, props.ComparisonOperator = jsii.Number(a.below), awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD
		}
		if a.silence != "" {
			props.TreatMissingData = a.silence
		}
		one := awscloudwatch.NewAlarm(stack, jsii.String(constructID(a.name)+"Alarm"), props)
		one.AddAlarmAction(action)
		one.AddOkAction(action)
	}
	return topic
}

func (s Props) alarmName(a alarm) string { return s.stackName() + "-" + a.name }

// newAlarmTopic is where alarms go, and from there, if one was given, to a mail address.
func newAlarmTopic(stack awscdk.Stack, s Props, key awskms.Key) awssns.Topic {
	topic := awssns.NewTopic(stack, jsii.String("Alarms"), &awssns.TopicProps{
		DisplayName: jsii.String(s.stackName() + " alarms"),
		MasterKey:   key,
		EnforceSSL:  jsii.Bool(true),
	})
	// CloudWatch sends as itself, so it needs the key and the topic opened to it, for this account's alarms only.
	cloudwatch := awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)
	ours := map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}}
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Alarms"),
		Principals: &[]awsiam.IPrincipal{cloudwatch},
		Actions:    jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"),
		Resources:  jsii.Strings("*"), // the key itself
		Conditions: &ours,
	}), nil)
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Alarms"),
		Principals: &[]awsiam.IPrincipal{cloudwatch},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  jsii.Strings(*topic.TopicArn()),
		Conditions: &ours,
	}))
	if s.AlarmMail != "" {
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(s.AlarmMail), nil))
	}
	return topic
}

// alarmsOf lists every alarm.
func alarmsOf(p parts, fs functions) []alarm {
	m, qs, st := meter{namespace: p.s.metrics()}, p.qs, p.st
	all := []alarm{
		{
			name: "ingest-old-messages", section: "old-messages", metric: age(qs.ingest, "ingest"), above: interval.Seconds(), periods: 5,
			means: "Logs wait on the queue ingest for over five minutes: deliver does not keep up, or fails.",
		},
		{
			name: "retry-old-messages", section: "old-messages", metric: age(qs.retry, "retry"), above: (30 * minute).Seconds(), periods: 5,
			means: "Hints wait on the queue retry for over half an hour, a delay of at most 15 minutes included: retries come late.",
		},
		{
			name: "rejected-messages", section: "rejected-messages", metric: depth(qs.rejected, "rejected"),
			means: "A producer sent messages that are no valid logs. They wait on the queue rejected, each with its reason.",
		},
		{
			name: "failed-events", section: "failed-events", metric: m.of(failed, sum, interval),
			means: "Logs were given up after seven days without reaching their destination.",
		},
		{
			name: "loss-ahead", section: "loss-ahead", metric: m.of(oldestAge, maximum, sweep), above: (lifetime - day).Seconds(),
			means: "The oldest log that waits for a destination that fails or is disconnected is given up in less than a day.",
		},
		{
			name: "requeue-stopped", section: "requeue-stopped", metric: fs.requeue.MetricInvocations(options(sum, interval, "requeue")), below: 1,
			silence: awscloudwatch.TreatMissingData_BREACHING,
			means:   "requeue has not run for five minutes: no retry with a delay of over 15 minutes comes due.",
		},
		{
			name: "faults", section: "faults", metric: m.of(faults, sum, interval), periods: 3,
			means: "Something of our own keeps failing, a write to the cache, say. The work is done again, and nothing is lost by it.",
		},
		{
			name: "imbalance", section: "imbalance", metric: imbalance(m),
			means: "More deliveries were accepted than were tried, held or given up, by more than a hundred and 1 %: deliveries may be lost.",
		},
		{
			name: "expire-behind", section: "expire-behind", metric: iteratorAge(fs.expire), above: float64(time.Hour.Milliseconds()), periods: 5,
			means: "expire is over an hour behind the cache's stream, which forgets after a day: failed events are announced late.",
		},
	}
	all = append(all, alarm{
		name: "messages-stuck", section: "messages-stuck", metric: m.of(stuck, sum, time.Hour),
		means: "A message has been handed out to deliver for hours and is never settled. The age of a queue's oldest message leaves it out.",
	})
	all = append(all, mailAlarms(m, p.post)...)
	for _, q := range p.ends() {
		id := strings.TrimSuffix(*q.dead.Node().Id(), "DeadLetters")
		all = append(all, alarm{
			name: strings.ToLower(id) + "-dead-letters", section: "dead-letters", metric: q.dead.MetricApproximateNumberOfMessagesVisible(options(maximum, minute, id)),
			means: fmt.Sprintf("Messages lie on the queue %s: handing them out again and again did not help.", *q.dead.Node().Id()),
		})
	}
	for _, f := range fs.all() {
		all = append(all, alarm{
			name: f.name + "-errors", section: "function-errors", metric: f.MetricErrors(options(sum, interval, f.name)), periods: 2,
			means: fmt.Sprintf("The function %s ends in errors or time-outs.", f.name),
		}, alarm{
			name: f.name + "-throttles", section: "function-throttles", metric: f.MetricThrottles(options(sum, interval, f.name)), periods: 3,
			means: fmt.Sprintf("Lambda turns runs of %s away: the account's or the function's concurrency is used up.", f.name),
		})
	}
	return append(all,
		alarm{
			name: "directory-throttles", section: "table-throttles", metric: throttles(st.directory, ownerIndex, attentionIndex, listedIndex), periods: 3,
			means: "DynamoDB turns calls to the table directory away.",
		},
		alarm{
			name: "deliveries-throttles", section: "table-throttles", metric: throttles(st.deliveries, dueIndex), periods: 3,
			means: "DynamoDB turns calls to the table deliveries away.",
		})
}

func mailAlarms(m meter, p post) []alarm {
	all := []alarm{
		{
			name: "mails-refused", section: "mail-failures", metric: m.of(mailsRefused, sum, 3*interval), periods: 2,
			means: "SES keeps refusing mails about connections. They are tried again for four days.",
		},
		{
			name: "mails-uncertain", section: "mail-failures", metric: m.of(mailsUncertain, sum, interval),
			means: "SES took a mail and did not answer: whether it was sent is not known, and it is not sent again.",
		},
		{
			name: "mails-without-recipient", section: "mail-failures", metric: m.of(withoutRecipients, sum, interval),
			means: "A mail was due and the workspace that owns the destination has nobody to send it to.",
		},
	}
	if p.set == nil { // the metric is in the region that mails leave from, and an alarm sees its own alone
		return all
	}
	return append(all, alarm{
		name: "mail-bounces", section: "mail-failures", metric: bounceRate(p), above: bouncesAtMost,
		means: "Over 4 % of the mails come back. At 5 % SES puts the account under review.",
	})
}

// imbalance is how many deliveries of an hour were accepted and then neither tried, nor held, nor, over seven days old by then, given up. Each is one of
// these in the invocation that accepts it.
// Retries make it less, so it is no measure of what is well. An invocation that dies may lose some counts, so it is nothing up to a hundred, or 1 %
// of what was accepted. What waits in the cache is not counted: to count it would cost more than to deliver it.
func imbalance(m meter) awscloudwatch.IMetric {
	const off = "FILL(accepted, 0) - FILL(delivered, 0) - FILL(vain, 0) - FILL(held, 0) - FILL(failed, 0)"
	text := fmt.Sprintf("IF(%[1]s > 100 AND %[1]s > 0.01 * FILL(accepted, 0), %[1]s, 0)", off)
	return expression(text, "imbalance", time.Hour, map[string]awscloudwatch.IMetric{
		"accepted":  m.of(accepted, sum, time.Hour),
		"delivered": m.of(delivered, sum, time.Hour),
		"vain":      m.of(attemptsFailed, sum, time.Hour),
		"held":      m.of(held, sum, time.Hour),
		"failed":    m.of(failed, sum, time.Hour),
	})
}

// throttles counts those of a table and its indexes, which have metrics of their own: a write that one index cannot take is turned away too.
func throttles(t awsdynamodb.Table, indexes ...string) awscloudwatch.IMetric {
	var terms []string
	using := make(map[string]awscloudwatch.IMetric)
	for i, index := range append([]string{""}, indexes...) {
		for _, sort := range []string{"Read", "Write"} {
			term := fmt.Sprintf("%ss%d", strings.ToLower(sort), i)
			terms = append(terms, "FILL("+term+", 0)")
			using[term] = tableMetric(t, index, sort+"ThrottleEvents", "")
		}
	}
	return expression(strings.Join(terms, " + "), "throttled", interval, using)
}

// constructID is a name with dashes in the form of a construct's id.
func constructID(name string) string {
	var id strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		id.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return id.String()
}
