package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	awsscheduler "github.com/aws/aws-sdk-go-v2/service/scheduler"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/aws/account"
	"github.com/auditrelay/auditrelay/internal/aws/canary"
	"github.com/auditrelay/auditrelay/internal/aws/profile"
	"github.com/auditrelay/auditrelay/internal/aws/scheduler"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/doctor"
	"github.com/auditrelay/auditrelay/internal/legible"
)

const doctorLong = `Look at the AWS account of your credentials, and say what of a deployment will fail there, and what to do.

It sees the credentials, the region, CDK's bootstrap stack, Lambda's concurrency, SES's state and the sender's
identity, the stack, and what an earlier stack has left under the names that a new one gives out. It changes
nothing. The settings are those of cdk.json in this folder, unless flags say otherwise.

With --canary it also tries the deployment: marked logs go through the queue to a receiver of its own, an SQS
queue. It waits for an arrival, a failure, a mail to SES's simulator, a retry and the timer of a disconnect,
tells how long each took, and removes what it made. That takes some minutes.

It ends with 7 if a check fails.`

func doctorCommand() *cobra.Command {
	var p planFlags
	var try, asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what will fail in this AWS account; with --canary try the deployment",
		Long:  doctorLong,
		Example: `  auditrelay doctor --stage prod --mail-from notices@acme.example
  auditrelay doctor --stage prod --canary --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := p.plan(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			c, err := profile.Open(cmd.Context())
			if err != nil {
				return err
			}
			if plan.Region = c.Region; plan.Region == "" {
				return usageError("no region is chosen; set AWS_REGION, or a region in your profile")
			}
			d := diagnosis{out: cmd.OutOrStdout(), json: asJSON}
			facts := account.See(cmd.Context(), c, plan)
			for _, f := range doctor.Account(plan, facts) {
				d.tell(f)
			}
			if try && cmd.Context().Err() == nil {
				if err := d.canary(cmd.Context(), c, plan, facts); err != nil {
					return err
				}
			}
			return d.end(cmd.Context())
		},
	}
	p.flags(cmd)
	cmd.Flags().BoolVar(&try, "canary", false, "send marked logs through the deployment, and watch them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the findings as JSON")
	return cmd
}

// planFlags are the settings of a deployment that matter to the account.
type planFlags struct {
	stage, mailFrom, mailIdentity, mailRegion string
	account, reserved                         int
}

func (p *planFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.stage, "stage", "", "the stage, as in the stack's name auditrelay-STAGE (default that of cdk.json, or dev)")
	cmd.Flags().StringVar(&p.mailFrom, "mail-from", "", "the sender of mails, as the setting mailFrom")
	cmd.Flags().StringVar(&p.mailIdentity, "mail-identity", "", "how SES knows the sender, as the setting mailIdentity")
	cmd.Flags().StringVar(&p.mailRegion, "mail-region", "", "where mails leave, as the setting mailRegion")
	cmd.Flags().IntVar(&p.account, "account-concurrency", 0, "what the stack counts on in the account, as the setting accountConcurrency")
	cmd.Flags().IntVar(&p.reserved, "reserved-concurrency", 0, "what is set aside for deliver, as the setting reservedConcurrency")
}

// contextFile is where CDK keeps the settings of a deployment.
const contextFile = "cdk.json"

// plan is what the flags say, and cdk.json of what they leave open.
func (p *planFlags) plan(given func(flag string) bool) (doctor.Plan, error) {
	var file struct {
		Context struct {
			Stage               string          `json:"stage"`
			MailFrom            string          `json:"mailFrom"`
			MailIdentity        string          `json:"mailIdentity"`
			MailRegion          string          `json:"mailRegion"`
			AccountConcurrency  json.RawMessage `json:"accountConcurrency"`
			ReservedConcurrency json.RawMessage `json:"reservedConcurrency"`
		} `json:"context"`
	}
	text, err := os.ReadFile(contextFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return doctor.Plan{}, fmt.Errorf("read the settings: %w", err)
	default:
		if err := json.Unmarshal(text, &file); err != nil {
			return doctor.Plan{}, fmt.Errorf("read the settings of %s: %w", contextFile, err)
		}
	}
	plan := doctor.Plan{
		Stage: orElse(p.stage, file.Context.Stage, "dev"), MailIdentity: orElse(p.mailIdentity, file.Context.MailIdentity, "existing"),
		MailRegion: orElse(p.mailRegion, file.Context.MailRegion, ""), Account: p.account, Reserved: p.reserved,
	}
	for _, number := range []struct {
		flag, name string
		value      json.RawMessage
		into       *int
	}{
		{"account-concurrency", "accountConcurrency", file.Context.AccountConcurrency, &plan.Account},
		{"reserved-concurrency", "reservedConcurrency", file.Context.ReservedConcurrency, &plan.Reserved},
	} {
		text := strings.Trim(string(number.value), `"`)
		if given(number.flag) || text == "" {
			continue
		}
		if _, err := fmt.Sscanf(text, "%d", number.into); err != nil {
			return plan, usageError(number.name + " in " + contextFile + " is no number")
		}
	}
	if from := orElse(p.mailFrom, file.Context.MailFrom); from != "" {
		address, err := mail.ParseAddress(from)
		if err != nil {
			return plan, usageError("--mail-from must be a mail address such as notices@acme.example")
		}
		plan.MailFrom = address.Address
	}
	return plan, nil
}

// orElse is the first text that is not empty.
func orElse(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// diagnosis collects findings and tells them.
type diagnosis struct {
	out      io.Writer
	json     bool
	findings []doctor.Finding
}

// tell notes a finding, and writes it at once for a person.
func (d *diagnosis) tell(f doctor.Finding) {
	d.findings = append(d.findings, f)
	if d.json {
		return
	}
	status := string(f.Status)
	if colourful(d.out) {
		status = string(statusColour(f.Status)) + status + reset + strings.Repeat(" ", max(0, 7-len(f.Status)))
	}
	took := ""
	if f.Took > 0 {
		took = fmt.Sprintf(" (%.1f s)", f.Seconds)
	}
	fmt.Fprintf(bare(d.out), "%-7s  %-12s  %s\n", status, f.Check, legible.Line(f.Found+took))
	if f.Do != "" {
		fmt.Fprintf(bare(d.out), "%-7s  %-12s  → %s\n", "", "", legible.Line(f.Do))
	}
}

func statusColour(s doctor.Status) colour {
	switch s {
	case doctor.OK:
		return green
	case doctor.Failing:
		return red
	}
	return yellow
}

// ailing says how many checks fail.
type ailing int

func (n ailing) Error() string {
	return fmt.Sprintf("checks that fail: %d; the lines above say what to do", int(n))
}

// end tells the whole, and what the command ends with.
func (d *diagnosis) end(ctx context.Context) error {
	failing := 0
	for _, f := range d.findings {
		if f.Status == doctor.Failing {
			failing++
		}
	}
	if d.json {
		if err := writeJSON(d.out, map[string]any{"status": doctor.Worst(d.findings), "findings": d.findings}, "  "); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case failing > 0:
		return ailing(failing)
	}
	return nil
}

// canary tries the deployment that the stack's outputs lead to.
func (d *diagnosis) canary(ctx context.Context, c aws.Config, plan doctor.Plan, facts doctor.Facts) error {
	stack := facts.Stack.Value
	if !stack.Deployed() {
		return usageError("--canary needs a stack " + plan.StackName() + " that is deployed; is it another stage or region?")
	}
	notify, group := suffixed(stack.Resources["AWS::Logs::LogGroup"], "/notify"), suffixed(stack.Resources["AWS::Scheduler::ScheduleGroup"], "")
	ingest, address := stack.Outputs["IngestQueueUrl"], stack.Outputs["ApiUrl"]
	if notify == "" || group == "" || ingest == "" || address == "" {
		return fmt.Errorf("the stack %s lacks what this command knows of it: is it of another version? see auditrelay --version", plan.StackName())
	}
	api, err := newClient("--api", address)
	if err != nil {
		return err
	}
	if api.region = regionOf(api.base.Host); api.region == "" {
		api.region = c.Region
	}
	api.account = &c
	id := "doctor-" + strings.ToLower(rand.Text()[:10])
	timers := &scheduler.Timers{Client: awsscheduler.NewFromConfig(c), Group: group}
	run := doctor.Canary{
		API:      managed{api},
		Ingest:   queued{sqs.ActivityQueue{Client: awssqs.NewFromConfig(c), URL: ingest}},
		Receiver: &canary.Queue{Client: awssqs.NewFromConfig(c), Config: c, Name: "auditrelay-" + id, Now: time.Now},
		Traces:   &canary.Traces{Logs: cloudwatchlogs.NewFromConfig(c), NotifyGroup: notify, Due: timers.Due},
		Now:      time.Now,
		Wait:     pass,
		ID:       id,
		Tell:     d.tell,
	}
	run.Run(ctx)
	return nil
}

// pass lets time pass.
func pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// suffixed is the first of a list with an ending.
func suffixed(list []string, ending string) string {
	for _, s := range list {
		if strings.HasSuffix(s, ending) {
			return s
		}
	}
	return ""
}

// managed is the management API, for a canary.
type managed struct{ client *client }

// Call implements doctor.API.
func (m managed) Call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	_, err := m.client.do(ctx, call{method: method, path: path, query: query, body: body, into: into})
	return err
}

// queued is the ingest queue, for a canary.
type queued struct{ queue sqs.ActivityQueue }

// Send implements doctor.Ingest.
func (q queued) Send(ctx context.Context, l events.Log) error {
	return account.Brief(q.queue.Send(ctx, l))
}
