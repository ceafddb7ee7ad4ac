// Package config holds the settings of each function, one struct a function. A function reads its struct from the environment with Load; the
// CDK app fills the same struct and turns it into the environment with Variables. So the name of a variable stands in one place, its tag.
package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// The encryption context under which data keys of destinations' credentials are wrapped. The functions' roles may use the
// stage's key directly under this purpose alone. Source: AWS KMS Developer Guide, "Encryption context".
const (
	KeyPurposeName = "purpose"
	KeyPurpose     = "auditrelay-destination-credentials"
)

// Stores names what every function that touches deliveries needs.
type Stores struct {
	DirectoryTable  string `env:"DIRECTORY_TABLE,required,notEmpty"`
	DeliveriesTable string `env:"DELIVERIES_TABLE,required,notEmpty"`
	PayloadBucket   string `env:"PAYLOAD_BUCKET,required,notEmpty"`
}

// Telemetry says where metrics go.
type Telemetry struct {
	// MetricsNamespace is the CloudWatch namespace; each stage of an account has its own.
	MetricsNamespace string `env:"METRICS_NAMESPACE" envDefault:"auditrelay"`
}

// Network says which receivers a deployment may reach besides public https ones.
type Network struct {
	// AllowPrivateCIDRs are ranges such as 10.20.0.0/16, separated by commas; empty for none.
	AllowPrivateCIDRs []string `env:"ALLOW_PRIVATE_CIDRS"`
	// AllowHTTP lets destinations use plain http.
	AllowHTTP bool `env:"ALLOW_HTTP" envDefault:"false"`
}

// Prefixes reads AllowPrivateCIDRs.
func (n Network) Prefixes() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, s := range n.AllowPrivateCIDRs {
		p, err := netip.ParsePrefix(strings.TrimSpace(s))
		if err != nil {
			return nil, fmt.Errorf("ALLOW_PRIVATE_CIDRS: %w", err)
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

// Deliver is the configuration of the function deliver.
type Deliver struct {
	Stores
	Telemetry
	Network
	// IngestQueueURL is for messages that are settled one by one; without it they are only taken so.
	IngestQueueURL string `env:"INGEST_QUEUE_URL"`
	// DeadLettersURL and DeadLettersARN are the queue of ingest's dead letters, which are taken where they lie.
	DeadLettersURL   string `env:"DEAD_LETTERS_URL"`
	DeadLettersARN   string `env:"DEAD_LETTERS_ARN"`
	RetryQueueURL    string `env:"RETRY_QUEUE_URL,required,notEmpty"`
	RetryQueueARN    string `env:"RETRY_QUEUE_ARN,required,notEmpty"`
	RejectedQueueURL string `env:"REJECTED_QUEUE_URL,required,notEmpty"`
	DrainQueueURL    string `env:"DRAIN_QUEUE_URL,required,notEmpty"`
	NoticesQueueURL  string `env:"NOTICES_QUEUE_URL,required,notEmpty"`
	// EventBus is the name or ARN of the EventBridge bus.
	EventBus string `env:"EVENT_BUS,required,notEmpty"`
	// KeyARN is the stage's KMS key, which wraps the data keys of destinations' credentials.
	KeyARN string `env:"KEY_ARN,required,notEmpty"`
	// KeepRejectedBodies has rejected messages kept whole that are no JSON objects, of which nobody can tell
	// whether they ask for zero retention.
	KeepRejectedBodies bool `env:"KEEP_REJECTED_BODIES" envDefault:"false"`
	// Dedupe has logs known that are sent again within a day.
	Dedupe bool `env:"DEDUPE" envDefault:"false"`
	// AttemptLimit is how long the attempts of one destination may take in one invocation.
	AttemptLimit time.Duration `env:"ATTEMPT_LIMIT" envDefault:"20s"`
	// DirectoryTTL is how long answers of the directory are kept in memory.
	DirectoryTTL time.Duration `env:"DIRECTORY_TTL" envDefault:"10s"`
	// MemoryMB is the function's memory. Lambda sets it.
	MemoryMB int `env:"AWS_LAMBDA_FUNCTION_MEMORY_SIZE"`
}

// Requeue is the configuration of the function requeue.
type Requeue struct {
	Telemetry
	Activity
	DirectoryTable  string `env:"DIRECTORY_TABLE,required,notEmpty"`
	DeliveriesTable string `env:"DELIVERIES_TABLE,required,notEmpty"`
	RetryQueueURL   string `env:"RETRY_QUEUE_URL,required,notEmpty"`
	DrainQueueURL   string `env:"DRAIN_QUEUE_URL,required,notEmpty"`
	NoticesQueueURL string `env:"NOTICES_QUEUE_URL,required,notEmpty"`
	// TimeLimit is how long the search for due deliveries may take in one run.
	TimeLimit time.Duration `env:"REQUEUE_TIME_LIMIT" envDefault:"45s"`
}

// Expire is the configuration of the function expire.
type Expire struct {
	Stores
	Telemetry
	// EventBus is the name or ARN of the EventBridge bus.
	EventBus string `env:"EVENT_BUS,required,notEmpty"`
}

// Load reads a function's configuration from the environment. The error names every variable that is missing or malformed.
func Load[T any]() (T, error) {
	c, err := env.ParseAs[T]()
	if err != nil {
		return c, fmt.Errorf("read the function's environment: %w", err)
	}
	return c, nil
}

// Variables is Load's reverse: the environment that gives c. Zero values are left out, so that defaults stand.
func Variables(c any) map[string]string {
	vars := make(map[string]string)
	collect(reflect.ValueOf(c), vars)
	return vars
}

func collect(v reflect.Value, vars map[string]string) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			collect(v.Field(i), vars)
			continue
		}
		if v.Field(i).IsZero() {
			continue
		}
		vars[name(field.Tag.Get("env"))] = format(v.Field(i))
	}
}
