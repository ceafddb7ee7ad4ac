package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawslogs"
	"github.com/aws/jsii-runtime-go"
)

// savedQuery is a question to the logs that is asked often. Words in capitals are to be replaced.
type savedQuery struct {
	name string
	text awslogs.QueryStringProps
}

func savedQueries() []savedQuery {
	return []savedQuery{
		{"one log's life", awslogs.QueryStringProps{
			Fields: jsii.Strings("@timestamp", "msg", "destination_id", "hash", "attempt", "why", "outcome", "code", "detail", "duration_ms", "next_attempt_at", "message_id",
				"receives", "reason"),
			FilterStatements: jsii.Strings("log_id = 'LOG_ID'"),
			Sort:             jsii.String("@timestamp asc"),
		}},
		{"retries of a destination", awslogs.QueryStringProps{
			FilterStatements: jsii.Strings("msg = 'delivery.attempted' and destination_id = 'DESTINATION_ID' and attempt > 1"),
			StatsStatements:  jsii.Strings("count(*) as retries, count_distinct(log_id) as logs, max(attempt) as most, avg(duration_ms) as ms by bin(15m), outcome, code"),
			Sort:             jsii.String("bin(15m) desc"),
		}},
		{"top failure codes", awslogs.QueryStringProps{
			FilterStatements: jsii.Strings("msg = 'delivery.attempted' and outcome = 'failed'"),
			StatsStatements:  jsii.Strings("count(*) as attempts, count_distinct(log_id) as logs, count_distinct(destination_id) as destinations by code, kind"),
			Sort:             jsii.String("attempts desc"),
			Limit:            jsii.Number(50),
		}},
		{"logs that went twice", awslogs.QueryStringProps{
			FilterStatements: jsii.Strings("msg = 'delivery.attempted' and outcome = 'delivered'"),
			StatsStatements:  jsii.Strings("count(*) as times, max(receives) as handed_out, count_distinct(message_id) as messages by destination_id, workspace_id, log_id, hash"),
			Sort:             jsii.String("times desc"),
			Limit:            jsii.Number(50),
		}},
		{"failed events", awslogs.QueryStringProps{
			Fields:           jsii.Strings("failed_at", "workspace_id", "destination_id", "log_id", "hash", "type", "attempts", "code"),
			FilterStatements: jsii.Strings("msg = 'delivery.failed'"),
			Sort:             jsii.String("@timestamp desc"),
		}},
		{"rejected and unrouted", awslogs.QueryStringProps{
			Fields:           jsii.Strings("@timestamp", "msg", "message_id", "workspace_id", "log_id", "type", "reason"),
			FilterStatements: jsii.Strings("msg in ['log.rejected', 'log.unrouted']"),
			Sort:             jsii.String("@timestamp desc"),
		}},
		{"mails", awslogs.QueryStringProps{
			Fields:           jsii.Strings("@timestamp", "msg", "kind", "workspace_id", "destination_id", "recipients", "code", "reason"),
			FilterStatements: jsii.Strings("msg like /^(mail|notice)\\./"),
			Sort:             jsii.String("@timestamp desc"),
		}},
		{"faults", awslogs.QueryStringProps{
			FilterStatements: jsii.Strings("msg = 'relay.fault' or @message like /Task timed out|panic/"),
			Fields:           jsii.Strings("@timestamp", "@log", "reason", "destination_id", "workspace_id", "log_id", "message_id", "@message"),
			Sort:             jsii.String("@timestamp desc"),
		}},
	}
}

func newQueries(stack awscdk.Stack, s Props, fs functions) {
	var groups []interfacesawslogs.ILogGroupRef
	for _, f := range fs.all() {
		groups = append(groups, f.log)
	}
	for _, q := range savedQueries() {
		awslogs.NewQueryDefinition(stack, jsii.String("Query "+q.name), &awslogs.QueryDefinitionProps{
			QueryDefinitionName: jsii.String(s.stackName() + "/" + q.name),
			QueryString:         awslogs.NewQueryString(&q.text),
			LogGroups:           &groups,
		})
	}
}
