// Package notify wires the function notify. It is apart from the other functions' wiring because templates keep the linker from leaving out
// what is not called, so what this package imports is what the function weighs.
package notify

import (
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/ses"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// New takes the events of the queue notices.
func New(c config.Notify, account aws.Config, journal notice.Journal) (*sqs.NoticeHandler, error) {
	if err := c.CheckMailOff(); err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress(c.MailFrom)
	if err != nil {
		return nil, fmt.Errorf("MAIL_FROM must be a mail address such as notices@acme.example: %w", err)
	}
	templates, err := notice.Templates()
	if err != nil {
		return nil, err
	}
	renderer, err := notice.NewRenderer(templates, c.MailLocale, c.MailProduct, listID(from.Address))
	if err != nil {
		return nil, err
	}
	off := make(map[directory.NoticeKind]bool, len(c.MailOff))
	for _, kind := range c.MailOff {
		off[directory.NoticeKind(kind)] = true
	}
	database := dynamodb.NewFromConfig(account)
	notify := &notice.Notify{
		Directory: &dynamo.Directory{Client: database, Table: c.DirectoryTable},
		Claims:    &dynamo.Claims{Client: database, Table: c.DirectoryTable},
		Mailer:    ses.New(account, ses.Sender{From: c.MailFrom, ReplyTo: c.MailReplyTo, ConfigurationSet: c.MailConfigurationSet, Region: c.MailRegion}),
		Renderer:  renderer, Journal: journal, Now: time.Now, Off: off,
	}
	return &sqs.NoticeHandler{Notifier: notify, Journal: journal, Now: time.Now}, nil
}

// listID is the List-Id of the mails of a sender, RFC 2919: the same for all of them, and nobody else's.
func listID(from string) string {
	return "<connection-notices." + from[strings.LastIndexByte(from, '@')+1:] + ">"
}
