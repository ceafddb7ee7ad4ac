package infra

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/picture"
)

var update = flag.Bool("update", false, "draw docs/images/architecture.svg")

// testPicture draws the architecture from the template: what starts each function, and what its role lets it read and write.
func testPicture(t *testing.T, tmpl template) {
	rows := []picture.Row{producersRow(t, tmpl)}
	for _, name := range functionNames() {
		id := tmpl.id(t, "AWS::Lambda::Function", capital(name))
		row := picture.Row{Name: name, Sub: "Lambda", Starts: startsOf(tmpl, id)}
		row.Reads, row.Writes = usesOf(t, tmpl, grantsOf(t, tmpl, capital(name)))
		rows = append(rows, row)
	}
	if err := picture.Hold("../docs/images/architecture.svg", picture.Architecture(rows, notesOf(tmpl)), *update); err != nil {
		t.Error(err)
	}
}

func capital(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func producersRow(t *testing.T, tmpl template) picture.Row {
	t.Helper()
	actions := make(map[string][]string)
	for _, v := range list(tmpl.one(t, "AWS::IAM::ManagedPolicy", "Producer").at("PolicyDocument", "Statement")) {
		s := resource{Properties: v.(map[string]any)}
		for _, action := range list(s.at("Action")) {
			for _, r := range list(s.at("Resource")) {
				actions[action.(string)] = append(actions[action.(string)], compact(r))
			}
		}
	}
	row := picture.Row{Name: "producers", Sub: "send logs"}
	row.Reads, row.Writes = usesOf(t, tmpl, actions)
	return row
}

// startsOf is what may invoke a function: event sources, rules, its address, and the roles that services invoke it with.
func startsOf(tmpl template, function string) (parts []picture.Part) {
	for _, id := range slices.Sorted(maps.Keys(tmpl.Resources)) {
		r := tmpl.Resources[id]
		switch r.Type {
		case "AWS::Lambda::EventSourceMapping":
			if slices.Contains(refs(r.at("FunctionName")), function) {
				source := refs(r.at("EventSourceArn"))[0]
				if tmpl.Resources[source].Type == "AWS::DynamoDB::Table" {
					parts = append(parts, picture.Part{Sort: picture.Table, Name: "stream of " + lower(source)})
				} else {
					parts = append(parts, picture.Part{Sort: picture.Queue, Name: lower(source)})
				}
			}
		case "AWS::Events::Rule":
			if slices.Contains(refs(r.at("Targets")), function) {
				parts = append(parts, picture.Part{Sort: picture.Event, Name: fmt.Sprint(r.at("ScheduleExpression"))})
			}
		case "AWS::ApiGateway::Method":
			if slices.Contains(refs(r.at("Integration", "Uri")), function) {
				parts = append(parts, picture.Part{Sort: picture.Event, Name: "signed requests"})
			}
		case "AWS::IAM::Role":
			if strings.Contains(compact(r.at("AssumeRolePolicyDocument")), "scheduler.amazonaws.com") && slices.Contains(refs(r.at("Policies")), function) {
				parts = append(parts, picture.Part{Sort: picture.Event, Name: "one-time schedule"})
			}
		}
	}
	return parts
}

// usesOf sorts what actions are allowed on into what is read and what is written. What Lambda's pollers, streams, a function's own
// log lines and the key need is no use.
func usesOf(t *testing.T, tmpl template, actions map[string][]string) (reads, writes []picture.Part) {
	t.Helper()
	read, written := make(map[picture.Part]bool), make(map[picture.Part]bool)
	for action, resources := range actions {
		service, verb, _ := strings.Cut(action, ":")
		into := written
		switch {
		case service == "kms", service == "iam", service == "logs" && verb != "FilterLogEvents", strings.HasPrefix(service, "Deny "), action == "s3:ListBucket",
			service == "sqs" && verb != "SendMessage", service == "dynamodb" && (strings.Contains(verb, "Shard") || strings.HasSuffix(verb, "Stream") || verb == "GetRecords"):
			continue
		case slices.ContainsFunc([]string{"Get", "Query", "Scan", "BatchGet", "Filter"}, func(p string) bool { return strings.HasPrefix(verb, p) }):
			into = read
		}
		for _, r := range resources {
			into[partOf(t, tmpl, service, r)] = true
		}
	}
	return inOrder(read), inOrder(written)
}

// partOf names the resource of a permission.
func partOf(t *testing.T, tmpl template, service, arn string) picture.Part {
	t.Helper()
	name := ""
	if _, rest, found := strings.Cut(arn, "{"); found && strings.HasPrefix(arn, "{") {
		name, _, _ = strings.Cut(rest, ".")
		name = strings.ToLower(name[:1]) + name[1:]
	}
	switch service {
	case "sqs":
		return picture.Part{Sort: picture.Queue, Name: name}
	case "dynamodb":
		return picture.Part{Sort: picture.Table, Name: name}
	case "s3":
		_, prefix, _ := strings.Cut(arn, "/")
		return picture.Part{Sort: picture.Store, Name: "bucket " + strings.TrimSuffix(prefix, "*")}
	case "events":
		return picture.Part{Sort: picture.Event, Name: "bus"}
	case "scheduler":
		return picture.Part{Sort: picture.Event, Name: "schedules"}
	case "logs":
		return picture.Part{Sort: picture.Store, Name: "attempts' log group"}
	case "ses":
		return picture.Part{Sort: picture.Outer, Name: "mail"}
	case "sts":
		return picture.Part{Sort: picture.Outer, Name: "customers' S3 roles"}
	}
	t.Fatalf("the picture has no word for %s on %s", service, arn)
	return picture.Part{}
}

func inOrder(parts map[picture.Part]bool) []picture.Part {
	return slices.SortedFunc(maps.Keys(parts), func(a, b picture.Part) int {
		order := []picture.Sort{picture.Queue, picture.Table, picture.Store, picture.Event, picture.Outer}
		return cmp.Or(cmp.Compare(slices.Index(order, a.Sort), slices.Index(order, b.Sort)), cmp.Compare(a.Name, b.Name))
	})
}

// notesOf counts what stands behind all of it.
func notesOf(tmpl template) []string {
	count := func(kind string) int { return len(tmpl.ids(kind)) }
	letters := 0
	for _, id := range tmpl.ids("AWS::SQS::Queue") {
		if tmpl.Resources[id].at("RedrivePolicy") == nil {
			letters++
		}
	}
	return []string{
		"deliver also connects to the customers' destinations, and admin to one that is tested: with the credentials in its record, or by its role.",
		fmt.Sprintf("%d queues, %d of which are where others put what they cannot settle; %d tables, %d bucket, all encrypted with %d key; %d alarms.",
			count("AWS::SQS::Queue"), letters, count("AWS::DynamoDB::Table"), count("AWS::S3::Bucket"), count("AWS::KMS::Key"), count("AWS::CloudWatch::Alarm")),
	}
}

func lower(id string) string {
	name := plain(id)
	return strings.ToLower(name[:1]) + name[1:]
}
