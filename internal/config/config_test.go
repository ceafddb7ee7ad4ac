package config_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/config"
)

func set(t *testing.T, vars map[string]string) {
	t.Helper()
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

// TestVariablesAreWhatLoadReads holds the promise to the CDK app: what it puts into a function's environment is what the function gets.
func TestVariablesAreWhatLoadReads(t *testing.T) {
	stores := config.Stores{DirectoryTable: "dir", DeliveriesTable: "del", PayloadBucket: "pay"}
	t.Run("deliver", func(t *testing.T) {
		want := config.Deliver{
			Stores:           stores,
			Telemetry:        config.Telemetry{MetricsNamespace: "auditrelay/prod"},
			Network:          config.Network{AllowPrivateCIDRs: []string{"10.20.0.0/16", "fd00::/8"}, AllowHTTP: true},
			RetryQueueURL:    "https://sqs/retry",
			RetryQueueARN:    "arn:retry",
			RejectedQueueURL: "https://sqs/rejected",
			DrainQueueURL:    "https://sqs/drain",
			NoticesQueueURL:  "https://sqs/notices",
			EventBus:         "arn:bus",
			KeyARN:           "arn:key",
			AttemptLimit:     7 * time.Second,

			KeepRejectedBodies: true,
			DirectoryTTL:       90 * time.Second,
		}
		comesBack(t, want)
	})
	t.Run("requeue", func(t *testing.T) {
		comesBack(t, config.Requeue{
			Telemetry: config.Telemetry{MetricsNamespace: "ns"}, DeliveriesTable: "del", RetryQueueURL: "https://sqs/retry", TimeLimit: time.Minute,
			DirectoryTable: "dir", DrainQueueURL: "https://sqs/drain", NoticesQueueURL: "https://sqs/notices",
			Activity: config.Activity{IngestQueueURL: "https://sqs/ingest", EventBus: "arn:bus"},
		})
	})
	t.Run("notify", func(t *testing.T) {
		comesBack(t, config.Notify{
			Telemetry: config.Telemetry{MetricsNamespace: "ns"}, DirectoryTable: "dir", MailFrom: "Acme <notices@acme.example>",
			MailReplyTo: "help@acme.example", MailProduct: "Acme", MailLocale: "de", MailOff: []string{"recovered", "expiry_warning", "unrouted"}, MailConfigurationSet: "set",
		})
	})
	t.Run("admin", func(t *testing.T) {
		comesBack(t, config.Admin{
			Disconnect: config.Disconnect{
				Telemetry: config.Telemetry{MetricsNamespace: "ns"},
				Activity:  config.Activity{IngestQueueURL: "https://sqs/ingest", EventBus: "arn:bus"}, DirectoryTable: "dir", NoticesQueueURL: "https://sqs/notices",
			},
			Timers: config.Timers{
				ScheduleGroup: "group", ScheduleRoleARN: "arn:role", ScheduleDeadLettersARN: "arn:dead", ScheduleKeyARN: "arn:key", DisconnectFunctionARN: "arn:f",
			},
			Network: config.Network{AllowHTTP: true}, DeliveriesTable: "del",
			RetryQueueURL: "https://sqs/retry", KeyARN: "arn:key", AttemptsLogGroup: "/log", TrustedRoles: "arn:roles/*", SearchLimit: time.Second,
		})
	})
	t.Run("expire", func(t *testing.T) {
		comesBack(t, config.Expire{Stores: stores, Telemetry: config.Telemetry{MetricsNamespace: "ns"}, EventBus: "arn:bus"})
	})
}

func comesBack[T any](t *testing.T, want T) {
	t.Helper()
	set(t, config.Variables(want))
	got, err := config.Load[T]()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the configuration differs (-want +got):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	least := config.Requeue{
		DirectoryTable: "dir", DeliveriesTable: "del", RetryQueueURL: "https://sqs/retry",
		DrainQueueURL: "https://sqs/drain", NoticesQueueURL: "https://sqs/notices",
		Activity: config.Activity{IngestQueueURL: "https://sqs/ingest", EventBus: "arn:bus"},
	}
	vars := config.Variables(least)
	if diff := cmp.Diff(map[string]string{
		"DIRECTORY_TABLE": "dir", "DELIVERIES_TABLE": "del", "RETRY_QUEUE_URL": "https://sqs/retry",
		"DRAIN_QUEUE_URL": "https://sqs/drain", "NOTICES_QUEUE_URL": "https://sqs/notices",
		"INGEST_QUEUE_URL": "https://sqs/ingest", "EVENT_BUS": "arn:bus",
	}, vars); diff != "" {
		t.Errorf("the variables differ (-want +got):\n%s", diff)
	}
	set(t, vars)
	got, err := config.Load[config.Requeue]()
	if err != nil {
		t.Fatal(err)
	}
	least.MetricsNamespace, least.TimeLimit = "auditrelay", 45*time.Second
	if diff := cmp.Diff(least, got); diff != "" {
		t.Errorf("the configuration differs (-want +got):\n%s", diff)
	}
}

func TestLoadNamesEveryMistake(t *testing.T) {
	set(t, map[string]string{"DELIVERIES_TABLE": "", "REQUEUE_TIME_LIMIT": "soon"})
	_, err := config.Load[config.Requeue]()
	if err == nil {
		t.Fatal("a configuration without a queue is loaded")
	}
	for _, name := range []string{"DELIVERIES_TABLE", "RETRY_QUEUE_URL", "TimeLimit"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}

func TestPrefixes(t *testing.T) {
	for name, test := range map[string]struct {
		cidrs []string
		want  []string
		ok    bool
	}{
		"none":             {nil, nil, true},
		"both families":    {[]string{"10.20.0.0/16", " fd00::/8"}, []string{"10.20.0.0/16", "fd00::/8"}, true},
		"an address in it": {[]string{"10.20.30.40/16"}, []string{"10.20.0.0/16"}, true},
		"no length":        {[]string{"10.20.0.0"}, nil, false},
		"no address":       {[]string{"10.20.0.0/16", "office"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.Network{AllowPrivateCIDRs: test.cidrs}.Prefixes()
			if (err == nil) != test.ok {
				t.Fatalf("error %v", err)
			}
			var want []netip.Prefix
			for _, s := range test.want {
				want = append(want, netip.MustParsePrefix(s))
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("prefixes differ (-want +got):\n%s", diff)
			}
		})
	}
}
