package authorization

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	one := func(action, resource string, keys ...string) Statement {
		return Statement{Actions: []string{action}, Resources: []string{resource}, Keys: keys}
	}
	const here = "eu-central-1:000000000000:"
	for name, c := range map[string]struct {
		Statement
		want []string
	}{
		"a queue":               {one("sqs:SendMessage", "arn:aws:sqs:"+here+"ingest"), nil},
		"a prefix of objects":   {one("s3:DeleteObject", "arn:aws:s3:::bucket/payloads/*"), nil},
		"a bucket":              {one("s3:ListBucket", "arn:aws:s3:::bucket", "s3:prefix"), nil},
		"a bucket for objects":  {one("s3:GetObject", "arn:aws:s3:::bucket"), []string{"s3:GetObject on arn:aws:s3:::bucket grants nothing: it can be granted on object"}},
		"objects for a bucket":  {one("s3:ListBucket", "arn:aws:s3:::bucket/*"), []string{"s3:ListBucket on arn:aws:s3:::bucket/* grants nothing: it can be granted on bucket"}},
		"an index":              {one("dynamodb:Query", "arn:aws:dynamodb:"+here+"table/a/index/due"), nil},
		"an index to write":     {one("dynamodb:PutItem", "arn:aws:dynamodb:"+here+"table/a/index/due"), []string{"dynamodb:PutItem on arn:aws:dynamodb:" + here + "table/a/index/due grants nothing: it can be granted on table"}},
		"all streams":           {one("dynamodb:ListStreams", "*"), nil},
		"one stream":            {one("dynamodb:ListStreams", "arn:aws:dynamodb:"+here+"table/a/stream/b"), []string{"dynamodb:ListStreams on arn:aws:dynamodb:" + here + "table/a/stream/b grants nothing: it can be granted on * alone"}},
		"a table for a stream":  {one("dynamodb:GetRecords", "arn:aws:dynamodb:"+here+"table/a"), []string{"dynamodb:GetRecords on arn:aws:dynamodb:" + here + "table/a grants nothing: it can be granted on stream"}},
		"streams of a group":    {one("logs:PutLogEvents", "arn:aws:logs:"+here+"log-group:/auditrelay/dev/deliver:*"), nil},
		"a group":               {one("logs:FilterLogEvents", "arn:aws:logs:"+here+"log-group:/auditrelay/dev/deliver:*"), nil},
		"another service":       {one("sqs:SendMessage", "arn:aws:sns:"+here+"ingest"), []string{"sqs:SendMessage on arn:aws:sns:" + here + "ingest grants nothing: it can be granted on queue"}},
		"roles anywhere":        {one("sts:AssumeRole", "arn:aws:iam::*:role/auditrelay-*", "aws:ResourceOrgID"), nil},
		"a key of another call": {one("sqs:SendMessage", "arn:aws:sqs:"+here+"ingest", "dynamodb:LeadingKeys"), []string{"sqs:SendMessage has no condition key dynamodb:LeadingKeys"}},
		"an action of no table": {one("s3:DeleteBucket", "arn:aws:s3:::bucket"), []string{"s3:DeleteBucket is not in the table of actions"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Check(c.Statement)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNeedsNameActionsOfTheTable holds the tables together.
func TestNeedsNameActionsOfTheTable(t *testing.T) {
	for _, call := range [][2]string{{"s3", "GetObject"}, {"scheduler", "CreateSchedule"}, {"dynamodb", "TransactWriteItems"}, {"sesv2", "SendEmail"}} {
		actions, known := Needs(call[0], call[1])
		if !known || len(actions) == 0 {
			t.Errorf("%v needs %v", call, actions)
		}
		for _, action := range append(actions, EventSource(call[0])...) {
			if _, ok := Actions()[action]; !ok {
				t.Errorf("%v needs %s, which is not in the table of actions", call, action)
			}
		}
	}
	if actions, known := Needs("s3", "DeleteBucket"); known {
		t.Errorf("a call that nothing makes needs %v", actions)
	}
}
