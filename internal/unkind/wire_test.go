package unkind

import (
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// TestProcessesAreWiredAsTheFunctions holds what is set here against what package handler sets: a port that is left out would leave out what it is for.
func TestProcessesAreWiredAsTheFunctions(t *testing.T) {
	w := newWorld(parts(t), 1, 0)
	w.dedupe = true
	e := &environment{world: w}
	journal := delivery.NewLines(t.Output(), "test")
	requeue, err := handler.Requeue(config.Requeue{TimeLimit: minuteBudget}, aws.Config{}, journal)
	if err != nil {
		t.Fatal(err)
	}
	deliver, err := handler.Deliver(config.Deliver{AttemptLimit: attemptLimit, Dedupe: true, IngestQueueURL: "https://ingest.example"}, aws.Config{}, journal)
	if err != nil {
		t.Fatal(err)
	}
	r := wireRequeue(e)
	for name, pair := range map[string][2]any{
		"requeue": {requeue.Requeue, r.requeue}, "watch": {requeue.Watch, r.watch}, "drain": {requeue.Drain, r.drain},
		"deliver": {deliver.Relay, wireDeliver(e).deliver},
	} {
		if diff := cmp.Diff(fieldsSet(pair[0]), fieldsSet(pair[1])); diff != "" {
			t.Errorf("%s (-the function's +the one that is played):\n%s", name, diff)
		}
	}
}

// fieldsSet names the exported fields of a struct that are not zero.
func fieldsSet(of any) (names []string) {
	v := reflect.Indirect(reflect.ValueOf(of))
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && !v.Field(i).IsZero() && !slices.Contains([]string{"PayloadBucket"}, f.Name) { // producers put nothing there
			names = append(names, f.Name)
		}
	}
	return names
}
