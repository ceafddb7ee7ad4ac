// Package ses hands mails to SES.
package ses

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"github.com/auditrelay/auditrelay/internal/notice"
)

// Mailer implements notice.Mailer.
type Mailer struct {
	client *sesv2.Client
	Sender
}

// Sender is who mails come from.
type Sender struct {
	From string
	// ReplyTo and ConfigurationSet may be empty.
	ReplyTo          string
	ConfigurationSet string
	// Region is where mails leave; empty for the account's.
	Region string
}

// New opens SES. Its calls are not repeated, as those of other services are: a mail whose answer was lost may have been taken, and the repetition
// would be a second one.
func New(account aws.Config, s Sender) *Mailer {
	return &Mailer{Sender: s, client: sesv2.NewFromConfig(account, func(o *sesv2.Options) {
		o.Retryer = aws.NopRetryer{}
		if s.Region != "" {
			o.Region = s.Region
		}
	})}
}

// Send implements notice.Mailer.
func (m *Mailer) Send(ctx context.Context, mail notice.Mail) error {
	in := &sesv2.SendEmailInput{
		FromEmailAddress: &m.From,
		Destination:      &types.Destination{ToAddresses: mail.To},
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: content(mail.Subject),
			Body:    &types.Body{Text: content(mail.Text), Html: content(mail.HTML)},
			Headers: []types.MessageHeader{header("List-Id", mail.ListID), header("Auto-Submitted", "auto-generated")},
		}},
		EmailTags: []types.MessageTag{{Name: aws.String("kind"), Value: aws.String(string(mail.Kind))}},
	}
	if m.ReplyTo != "" {
		in.ReplyToAddresses = []string{m.ReplyTo}
	}
	if m.ConfigurationSet != "" {
		in.ConfigurationSetName = &m.ConfigurationSet
	}
	_, err := m.client.SendEmail(ctx, in)
	return classify(err)
}

func content(text string) *types.Content {
	return &types.Content{Data: &text, Charset: aws.String("UTF-8")}
}

func header(name, value string) types.MessageHeader {
	return types.MessageHeader{Name: &name, Value: &value}
}

// classify tells a certain no from a lost answer. Of the service's errors only the code is kept, since their texts quote addresses.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		status := 0
		if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
			status = response.HTTPStatusCode()
		}
		if status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable {
			return fmt.Errorf("the mail service answered %d %s, which does not say whether it took the mail", status, answer.ErrorCode())
		}
		return &notice.Refusal{Reason: answer.ErrorCode(), Address: aboutTheMail(err)}
	}
	if notSent(err) {
		return &notice.Refusal{Reason: "it cannot be reached"}
	}
	return fmt.Errorf("hand a mail over: %w", err)
}

func aboutTheMail(err error) bool {
	_, bad := errors.AsType[*types.BadRequestException](err)
	_, rejected := errors.AsType[*types.MessageRejected](err)
	return bad || rejected
}

// notSent says whether the call ended before anything went out.
func notSent(err error) bool {
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*v4.SigningError](err); ok {
		return true
	}
	_, ok := errors.AsType[smithy.InvalidParamsError](err)
	return ok
}
