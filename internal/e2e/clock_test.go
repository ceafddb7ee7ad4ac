//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// startRules runs the rules of the template by the clock. The first run is at once.
func (d *deployment) startRules(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, id := range d.all("AWS::Events::Rule") {
		var rule struct {
			ScheduleExpression string
			State              string
			Targets            []struct{ Arn, Input string }
		}
		if err := properties(d.values, id, &rule); err != nil {
			t.Fatalf("read the rule %s: %v", id, err)
		}
		if rule.ScheduleExpression == "" {
			continue // it is for events of a bus
		}
		if rule.ScheduleExpression != "rate(1 minute)" || rule.State != "ENABLED" {
			t.Fatalf("the host knows rules of one minute only, and %s is %s and %s", id, rule.ScheduleExpression, rule.State)
		}
		for _, target := range rule.Targets {
			f := d.byARN(target.Arn)
			if f == nil || !d.permitted(t, f, d.arn(id)) {
				t.Fatalf("the rule %s may not invoke %s", id, target.Arn)
			}
			payload := []byte(target.Input)
			if len(payload) == 0 {
				payload = ruleEvent(d.arn(id))
			}
			d.running.Go(func() { everyMinute(ctx, func() { _, _ = f.invoke(ctx, payload) }) })
		}
	}
}

// permitted says whether a permission of the template lets EventBridge's rule invoke the function.
func (d *deployment) permitted(t *testing.T, f *function, rule string) bool {
	t.Helper()
	return slices.ContainsFunc(d.all("AWS::Lambda::Permission"), func(id string) bool {
		var p struct{ Action, FunctionName, Principal, SourceArn string }
		if err := properties(d.values, id, &p); err != nil {
			t.Fatalf("read the permission %s: %v", id, err)
		}
		return p.Action == "lambda:InvokeFunction" && p.Principal == "events.amazonaws.com" && p.SourceArn == rule && (p.FunctionName == f.arn || p.FunctionName == d.name(f.id))
	})
}

func everyMinute(ctx context.Context, do func()) {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-minute.C:
		}
	}
}

// ruleEvent is what EventBridge sends for a rule that runs by the clock.
func ruleEvent(rule string) []byte {
	event, err := json.Marshal(map[string]any{
		"version": "0", "id": "00000000-0000-0000-0000-000000000000", "detail-type": "Scheduled Event", "source": "aws.events", "account": account,
		"time": time.Now().UTC().Format(time.RFC3339), "region": region, "resources": []string{rule}, "detail": map[string]any{},
	})
	if err != nil {
		panic(fmt.Sprintf("an event of texts is no JSON: %v", err))
	}
	return event
}
