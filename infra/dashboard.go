package infra

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

// fullWidth is the dashboard's width in CloudWatch's units.
const fullWidth = 24

// newDashboard answers, from top to bottom: is anything wrong, where do the logs stand, which kind of destination is it, and what does it cost.
func newDashboard(p parts, fs functions, alarms []alarm) awscloudwatch.Dashboard {
	stack, s, m := p.stack, p.s, meter{namespace: p.s.metrics()}
	intro := fmt.Sprintf("**%s** · [runbook](%s) · One log's life and other questions: Logs Insights, saved queries `%s/…`", s.stackName(), runbook, s.stackName())
	return awscloudwatch.NewDashboard(stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		// Dashboards have no region of their own, so the name tells those of several regions apart.
		DashboardName:   jsii.String(s.stackName() + "-" + *awscdk.Aws_REGION()),
		DefaultInterval: seconds(day),
		Widgets: &[]*[]awscloudwatch.IWidget{
			{text(intro), alarmStatus(stack, s, alarms)},
			{now(m)},
			{
				graph("Deliveries, every 5 minutes", 12, m.of(accepted, sum, interval), m.of(delivered, sum, interval), m.of(failed, sum, interval),
					m.of(unrouted, sum, interval), m.of(rejected, sum, interval), m.of(repeated, sum, interval)),
				graph("Attempts, every 5 minutes", 12, m.of(attempts, sum, interval), m.of(attemptsFailed, sum, interval), m.of(held, sum, interval), m.of(faults, sum, interval), m.of(stuck, sum, interval)),
			},
			{
				graph("Delivered, by kind", 8, m.byKind(delivered)),
				graph("Failed attempts, by kind", 8, m.byKind(attemptsFailed)),
				graph("Given up, by kind", 8, m.byKind(failed)),
			},
			mailRow(m, p.post),
			queueRow(p),
			functionRow(fs),
			costRow(p.qs, p.st, fs),
		},
	})
}

// now is the ledger of the day, and how long the oldest pending log still has.
func now(m meter) awscloudwatch.IWidget {
	lossIn := expression(fmt.Sprintf("(%d - oldest) / 3600", int(lifetime.Seconds())), "Hours to first loss", sweep,
		map[string]awscloudwatch.IMetric{"oldest": m.of(oldestAge, maximum, sweep)})
	oldest := expression("oldest / 3600", "Age of the oldest, hours", sweep, map[string]awscloudwatch.IMetric{"oldest": m.of(oldestAge, maximum, sweep)})
	more := expression("FILL(accepted, 0) - FILL(delivered, 0) - FILL(failed, 0)", "Pending, more than a day ago", day, map[string]awscloudwatch.IMetric{
		"accepted": m.of(accepted, sum, day), "delivered": m.of(delivered, sum, day), "failed": m.of(failed, sum, day),
	})
	return awscloudwatch.NewSingleValueWidget(&awscloudwatch.SingleValueWidgetProps{
		Title: jsii.String("The last day, and the oldest log that waits now"), Width: jsii.Number(fullWidth), Height: jsii.Number(4),
		Metrics: &[]awscloudwatch.IMetric{
			m.of(accepted, sum, day), m.of(delivered, sum, day), m.of(failed, sum, day), more, oldest, lossIn,
		},
	})
}

func mailRow(m meter, p post) *[]awscloudwatch.IWidget {
	row := []awscloudwatch.IWidget{
		graph("Mails, every 5 minutes", 16, m.of(mailsSent, sum, interval), m.of(mailsRefused, sum, interval), m.of(mailsUncertain, sum, interval),
			m.of(addressesRefused, sum, interval), m.of(withoutRecipients, sum, interval)),
	}
	if p.set != nil {
		row = append(row, graph("Mails that come back, share", 8, bounceRate(p)))
	}
	return &row
}

func queueRow(p parts) *[]awscloudwatch.IWidget {
	qs := p.qs
	depths := []awscloudwatch.IMetric{
		depth(qs.ingest, "ingest"), depth(qs.retry, "retry"), depth(qs.drain, "drain"), depth(qs.notices, "notices"), depth(qs.rejected, "rejected"),
	}
	ages := []awscloudwatch.IMetric{age(qs.ingest, "ingest"), age(qs.retry, "retry"), age(qs.drain, "drain"), age(qs.notices, "notices")}
	var dead []awscloudwatch.IMetric
	for _, q := range p.ends() {
		dead = append(dead, q.dead.MetricApproximateNumberOfMessagesVisible(options(maximum, minute, *q.dead.Node().Id())))
	}
	return &[]awscloudwatch.IWidget{
		graph("Messages that wait", 8, depths...), graph("Age of the oldest message, seconds", 8, ages...), graph("Dead letters", 8, dead...),
	}
}

func functionRow(fs functions) *[]awscloudwatch.IWidget {
	var runs, errs, durations []awscloudwatch.IMetric
	for _, f := range fs.all() {
		runs = append(runs, f.Metric(jsii.String("ConcurrentExecutions"), options(maximum, minute, f.name)))
		errs = append(errs, f.MetricErrors(options(sum, interval, f.name+" errors")), f.MetricThrottles(options(sum, interval, f.name+" throttles")))
		durations = append(durations, f.MetricDuration(options(p99, interval, f.name)))
	}
	return &[]awscloudwatch.IWidget{
		graph("Functions at the same time", 8, runs...), graph("Errors and throttles", 8, errs...), graph("Duration, 99 % are shorter, ms", 8, durations...),
	}
}

// costRow shows what the bill is made of, an hour.
func costRow(qs queues, st stores, fs functions) *[]awscloudwatch.IWidget {
	var busy, sent []awscloudwatch.IMetric
	for _, f := range fs.all() {
		busy = append(busy, f.MetricDuration(options(sum, time.Hour, f.name)))
	}
	for _, q := range []queue{qs.ingest, qs.retry, qs.drain, qs.notices} {
		sent = append(sent, q.MetricNumberOfMessagesSent(options(sum, time.Hour, *q.Node().Id())))
	}
	return &[]awscloudwatch.IWidget{
		graph("Cost: functions' milliseconds", 8, busy...),
		graph("Cost: messages sent", 8, sent...),
		graph("Cost: table units", 8,
			tableMetric(st.deliveries, "", "ConsumedWriteCapacityUnits", "deliveries written"), tableMetric(st.deliveries, dueIndex, "ConsumedWriteCapacityUnits", "due index written"),
			tableMetric(st.deliveries, "", "ConsumedReadCapacityUnits", "deliveries read"), tableMetric(st.deliveries, dueIndex, "ConsumedReadCapacityUnits", "due index read"),
			tableMetric(st.directory, "", "ConsumedReadCapacityUnits", "directory read"), tableMetric(st.directory, ownerIndex, "ConsumedReadCapacityUnits", "owner index read")),
	}
}

func graph(title string, width float64, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
		Title: jsii.String(title), Width: jsii.Number(width), Height: jsii.Number(6), Left: &metrics,
		LeftYAxis: &awscloudwatch.YAxisProps{Min: jsii.Number(0), ShowUnits: jsii.Bool(false)},
	})
}

func text(markdown string) awscloudwatch.IWidget {
	return awscloudwatch.NewTextWidget(&awscloudwatch.TextWidgetProps{Markdown: jsii.String(markdown), Width: jsii.Number(6), Height: jsii.Number(4)})
}

// alarmStatus shows alarms by their names. To refer to the alarms themselves would make the dashboard wait for each.
func alarmStatus(stack awscdk.Stack, s Props, alarms []alarm) awscloudwatch.IWidget {
	shown := make([]interfacesawscloudwatch.IAlarmRef, len(alarms))
	for i, a := range alarms {
		arn := stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("cloudwatch"), Resource: jsii.String("alarm"), ResourceName: jsii.String(s.alarmName(a)),
			ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})
		shown[i] = awscloudwatch.Alarm_FromAlarmArn(stack, jsii.String("Shown"+constructID(a.name)), arn)
	}
	return awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
		Title: jsii.String("Alarms"), Alarms: &shown, SortBy: awscloudwatch.AlarmStatusWidgetSortBy_STATE_UPDATED_TIMESTAMP,
		Width: jsii.Number(18), Height: jsii.Number(4),
	})
}
