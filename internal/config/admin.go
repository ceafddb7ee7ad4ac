package config

import "time"

// Admin is the configuration of the function admin.
type Admin struct {
	Disconnect
	Timers
	Network
	DeliveriesTable string `env:"DELIVERIES_TABLE,required,notEmpty"`
	RetryQueueURL   string `env:"RETRY_QUEUE_URL,required,notEmpty"`
	// KeyARN is the stage's KMS key, which wraps the data keys of destinations' credentials.
	KeyARN string `env:"KEY_ARN,required,notEmpty"`
	// AttemptsLogGroup is the log group of the function deliver, where attempts are written down.
	AttemptsLogGroup string `env:"ATTEMPTS_LOG_GROUP,required,notEmpty"`
	// TrustedRoles is the pattern of the ARNs of roles that customers' roles trust.
	TrustedRoles string `env:"TRUSTED_ROLES,required,notEmpty"`
	// SearchLimit is how long one search of the log group may take.
	SearchLimit time.Duration `env:"SEARCH_LIMIT" envDefault:"20s"`
}
