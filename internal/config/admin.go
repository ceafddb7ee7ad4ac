package config

import "time"

// Admin is the configuration of the function admin.
type Admin struct {
	Disconnect
	Timers
	Network
	DeliveriesTable string `env:"DELIVERIES_TABLE,required,notEmpty"`
	RetryQueueURL   string `env:"RETRY_QUEUE_URL,required,notEmpty"`
	// SecretPrefix stands before a destination's id in the name of its secret.
	SecretPrefix string `env:"SECRET_PREFIX,required,notEmpty"`
	// SecretKeyARN is the customer-managed key of new secrets; empty for the account's default.
	SecretKeyARN string `env:"SECRET_KEY_ARN"`
	// AttemptsLogGroup is the log group of the function deliver, where attempts are written down.
	AttemptsLogGroup string `env:"ATTEMPTS_LOG_GROUP,required,notEmpty"`
	// SearchLimit is how long one search of the log group may take.
	SearchLimit time.Duration `env:"SEARCH_LIMIT" envDefault:"20s"`
}
