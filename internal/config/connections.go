package config

import (
	"fmt"
	"slices"
)

// Activity says where changes of connections are told.
type Activity struct {
	IngestQueueURL string `env:"INGEST_QUEUE_URL,required,notEmpty"`
	// EventBus is the name or ARN of the EventBridge bus.
	EventBus string `env:"EVENT_BUS,required,notEmpty"`
}

// Timers says how the end of a disconnect's eight hours is scheduled.
type Timers struct {
	ScheduleGroup string `env:"SCHEDULE_GROUP,required,notEmpty"`
	// ScheduleRoleARN is the role in which the scheduler invokes the function disconnect.
	ScheduleRoleARN        string `env:"SCHEDULE_ROLE_ARN,required,notEmpty"`
	ScheduleDeadLettersARN string `env:"SCHEDULE_DEAD_LETTERS_ARN,required,notEmpty"`
	// ScheduleKeyARN is the customer-managed key of schedules; empty for the service's own.
	ScheduleKeyARN        string `env:"SCHEDULE_KEY_ARN"`
	DisconnectFunctionARN string `env:"DISCONNECT_FUNCTION_ARN,required,notEmpty"`
}

// Disconnect is the configuration of the function disconnect.
type Disconnect struct {
	Telemetry
	Activity
	DirectoryTable  string `env:"DIRECTORY_TABLE,required,notEmpty"`
	NoticesQueueURL string `env:"NOTICES_QUEUE_URL,required,notEmpty"`
}

// Notify is the configuration of the function notify.
type Notify struct {
	Telemetry
	DirectoryTable string `env:"DIRECTORY_TABLE,required,notEmpty"`
	// MailFrom is the sender: an address of an identity that SES has verified, with or without a name.
	MailFrom string `env:"MAIL_FROM,required,notEmpty"`
	// MailReplyTo is where answers go; empty for the sender.
	MailReplyTo string `env:"MAIL_REPLY_TO"`
	// MailProduct stands in each subject and signature.
	MailProduct string `env:"MAIL_PRODUCT" envDefault:"auditrelay"`
	// MailLocale is the language of the mails, a folder of internal/notice/templates.
	MailLocale string `env:"MAIL_LOCALE" envDefault:"en"`
	// MailOff are the kinds that are not mailed: some of recovered, expiry_warning and unrouted, separated by commas.
	MailOff []string `env:"MAIL_OFF"`
	// MailRegion is where mails leave; empty for the function's own region.
	MailRegion string `env:"MAIL_REGION"`
	// MailConfigurationSet is SES's; empty for none.
	MailConfigurationSet string `env:"MAIL_CONFIGURATION_SET"`
}

// CheckMailOff says whether MailOff holds only kinds that may be switched off.
func (n Notify) CheckMailOff() error {
	for _, kind := range n.MailOff {
		if !slices.Contains([]string{"recovered", "expiry_warning", "unrouted"}, kind) {
			return fmt.Errorf("MAIL_OFF: %q cannot be switched off; recovered, expiry_warning and unrouted can", kind)
		}
	}
	return nil
}
