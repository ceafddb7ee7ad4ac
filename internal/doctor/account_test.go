package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sound is an account in which the plan can be deployed for the first time.
func sound() (Plan, Facts) {
	return Plan{Stage: "prod", Region: "eu-central-1", MailFrom: "notices@acme.example", Account: 1000}, Facts{
		Caller:      Answer[Caller]{Value: Caller{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/ada"}},
		Bootstrap:   Answer[int]{Value: 21},
		Concurrency: Answer[Concurrency]{Value: Concurrency{Limit: 1000, Unreserved: 1000}},
		Sender:      Answer[Sender]{Value: Sender{Domain: verified("acme.example")}},
		Mail:        Answer[Mail]{Value: Mail{Production: true, Sending: true, Enforcement: "HEALTHY", PerDay: 50000, PerSecond: 14}},
	}
}

// verified is an identity in SES that may be sent by.
func verified(name string) Identity { return Identity{Name: name, Exists: true, Verified: true} }

// deployed is the same account after it.
func deployed() (Plan, Facts) {
	p, f := sound()
	f.Stack.Value.Status = "UPDATE_COMPLETE"
	f.Names.Value = []Resource{{Kind: "event bus", Name: "auditrelay-prod", Remove: "aws events delete-event-bus"}}
	return p, f
}

// ills are the findings that are not OK, as "status check: found → do".
func ills(findings []Finding) []string {
	var list []string
	for _, f := range findings {
		if f.Status != OK {
			list = append(list, string(f.Status)+" "+f.Check+": "+f.Found+" → "+f.Do)
		}
	}
	return list
}

func TestSoundAccounts(t *testing.T) {
	p, f := sound()
	want := []Finding{
		{Check: "credentials", Status: OK, Found: "account 111122223333 in eu-central-1, as arn:aws:iam::111122223333:user/ada"},
		{Check: "region", Status: OK, Found: "eu-central-1 has what the stack is made of"},
		{Check: "bootstrap", Status: OK, Found: "version 21"},
		{Check: "concurrency", Status: OK, Found: "1000 at once in this region, 1000 of them unreserved"},
		{Check: "mail account", Status: OK, Found: "50000 mails a day, 14 a second"},
		{Check: "sender", Status: OK, Found: "SES knows notices@acme.example"},
		{Check: "stack", Status: OK, Found: "there is no auditrelay-prod yet"},
		{Check: "leftovers", Status: OK, Found: "nothing of an earlier auditrelay-prod is in the way"},
	}
	if diff := cmp.Diff(want, Account(p, f)); diff != "" {
		t.Errorf("before a deploy (-want +got):\n%s", diff)
	}
	p, f = deployed()
	if got := ills(Account(p, f)); got != nil {
		t.Errorf("after a deploy: %q", got)
	}
}

// TestFaults makes one fault at a time, and holds which finding names it and what it says to do.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(p *Plan, f *Facts)
		want  []string
	}{
		"no credentials": {
			func(_ *Plan, f *Facts) {
				f.Caller = Answer[Caller]{Err: errors.New("STS GetCallerIdentity: ExpiredToken")}
			},
			[]string{"failing credentials: AWS does not know who asks: STS GetCallerIdentity: ExpiredToken → sign in, with aws sso login say, or set AWS_PROFILE"},
		},
		"a region without function URLs": {func(p *Plan, _ *Facts) { p.Region = "eu-central-2" }, nil},
		"a region without SES": {
			func(p *Plan, _ *Facts) { p.Region = "ap-east-1" },
			[]string{"failing region: ap-east-1 has no SES, by which mails leave → give mailRegion, a region with SES, such as `--context mailRegion=ap-southeast-1`"},
		},
		"mails from another region": {func(p *Plan, _ *Facts) { p.Region, p.MailRegion = "ap-east-1", "ap-southeast-1" }, nil},
		"a partition without SES": {
			func(p *Plan, _ *Facts) { p.Region = "cn-north-1" },
			[]string{"failing region: cn-north-1 has no SES, by which mails leave → deploy in another partition: this one has no SES at all"},
		},
		"a region that is newer": {
			func(p *Plan, _ *Facts) { p.Region = "eu-west-9" },
			[]string{"warning region: nothing is known here of eu-west-9 → see whether Lambda, EventBridge Scheduler and SES are there"},
		},
		"never bootstrapped": {
			func(_ *Plan, f *Facts) { f.Bootstrap.Value = 0 },
			[]string{"failing bootstrap: CDK was never bootstrapped in this account and region → npx cdk bootstrap aws://111122223333/eu-central-1"},
		},
		"an old bootstrap": {
			func(_ *Plan, f *Facts) { f.Bootstrap.Value = 5 },
			[]string{"failing bootstrap: CDK's bootstrap stack has version 5, and the stack needs 6 → npx cdk bootstrap aws://111122223333/eu-central-1"},
		},
		"the least bootstrap": {func(_ *Plan, f *Facts) { f.Bootstrap.Value = 6 }, nil},
		"a young account": {
			func(p *Plan, f *Facts) { p.Account, f.Concurrency.Value = 0, Concurrency{10, 10} },
			[]string{"warning concurrency: 10 at once in this region, 10 of them unreserved: queues share it, so that a burst of logs waits → " + asked},
		},
		"a young account of which more is expected": {
			func(_ *Plan, f *Facts) { f.Concurrency.Value = Concurrency{10, 10} },
			[]string{"warning concurrency: 10 at once in this region, 10 of them unreserved; the stack counts on 1000, and in a burst requeue, admin and notify wait → " +
				"set accountConcurrency to 10; and " + asked},
		},
		"an account that is hardly used": {
			func(p *Plan, _ *Facts) { p.Account = 0 },
			[]string{"warning concurrency: 1000 at once in this region, 1000 of them unreserved; the stack counts on 10 unless it is told → deploy with --context accountConcurrency=1000"},
		},
		"a young account with a reservation": {
			func(p *Plan, f *Facts) { p.Reserved, f.Concurrency.Value = 8, Concurrency{10, 10} },
			[]string{"failing concurrency: 10 at once in this region, 10 of them unreserved; Lambda keeps 10 unreserved, so that reservedConcurrency=8 is refused → " +
				"set reservedConcurrency to at most 0, or leave it out; or " + asked},
		},
		"a reservation that is too large": {
			func(p *Plan, f *Facts) { p.Reserved, f.Concurrency.Value = 401, Concurrency{1000, 500} },
			[]string{"failing concurrency: 1000 at once in this region, 500 of them unreserved; Lambda keeps 100 unreserved, so that reservedConcurrency=401 is refused → " +
				"set reservedConcurrency to at most 400, or leave it out; or " + asked},
		},
		"the largest reservation": {func(p *Plan, f *Facts) { p.Account, p.Reserved, f.Concurrency.Value = 0, 400, Concurrency{1000, 500} }, nil},
		"little that is shared": {
			func(_ *Plan, f *Facts) { f.Concurrency.Value = Concurrency{1000, 219} },
			[]string{"warning concurrency: 1000 at once in this region, 219 of them unreserved; the stack counts on 1000, and in a burst requeue, admin and notify wait → " +
				"set accountConcurrency to 219; and " + asked},
		},
		"the stack's own reservation": {func(p *Plan, f *Facts) { // it is no longer free, and needs no more
			p.Reserved, f.Concurrency.Value, f.Stack.Value.Status = 900, Concurrency{1000, 100}, "UPDATE_COMPLETE"
			f.Sender.Value.Domain.Verified = true
		}, nil},
		"just what is counted on": {func(p *Plan, f *Facts) { p.Account, f.Concurrency.Value = 220, Concurrency{1000, 220} }, nil},
		"the sandbox": {
			func(_ *Plan, f *Facts) {
				f.Mail.Value = Mail{Sending: true, Enforcement: "HEALTHY", PerDay: 200, PerSecond: 1}
			},
			[]string{"warning mail account: SES keeps this account in its sandbox: only verified recipients get mails; 200 mails a day, 1 a second → " +
				"aws sesv2 put-account-details --production-access-enabled, see docs/deploy.md; mails wait until then"},
		},
		"mails are stopped": {
			func(_ *Plan, f *Facts) { f.Mail.Value.Sending = false },
			[]string{"failing mail account: SES has stopped sending for this account: no mail leaves, and all wait → " +
				"read what SES wrote to the account's address, and answer in the SES console under Account dashboard"},
		},
		"mails are shut down": {
			func(_ *Plan, f *Facts) { f.Mail.Value.Enforcement = "SHUTDOWN" },
			[]string{"failing mail account: SES has stopped sending for this account: no mail leaves, and all wait → " +
				"read what SES wrote to the account's address, and answer in the SES console under Account dashboard"},
		},
		"mails are reviewed": {
			func(_ *Plan, f *Facts) { f.Mail.Value.Enforcement = "PROBATION" },
			[]string{"warning mail account: SES reviews this account and may stop it; 50000 mails a day, 14 a second → answer the review in the SES console under Account dashboard"},
		},
		"an identity that is there": {
			func(p *Plan, _ *Facts) { p.MailIdentity = "domain" },
			[]string{"failing sender: SES has the identity acme.example already, and the stack would make it again → deploy without mailIdentity, or with mailIdentity=existing"},
		},
		"one that is there in another case": {
			func(p *Plan, _ *Facts) { p.MailIdentity, p.MailFrom = "domain", "notices@Acme.Example" },
			[]string{"failing sender: SES has the identity acme.example already, and the stack would make it again → deploy without mailIdentity, or with mailIdentity=existing"},
		},
		"an address that is there": {
			func(p *Plan, f *Facts) {
				p.MailIdentity, f.Sender.Value.Address = "address", verified("notices@acme.example")
			},
			[]string{"failing sender: SES has the identity notices@acme.example already, and the stack would make it again → deploy without mailIdentity, or with mailIdentity=existing"},
		},
		"it is there, and the stack's": {
			func(p *Plan, f *Facts) {
				p.MailIdentity, f.Stack.Value.Status, f.Names.Value = "domain", "UPDATE_COMPLETE", nil
			}, nil,
		},
		"it is there, and taken":      {func(p *Plan, _ *Facts) { p.MailIdentity = "existing" }, nil},
		"a domain above the sender's": {func(p *Plan, _ *Facts) { p.MailFrom = "notices@mail.acme.example" }, nil},
		"a subdomain to be made below one that is there": {
			func(p *Plan, _ *Facts) { p.MailIdentity, p.MailFrom = "domain", "notices@mail.acme.example" }, nil,
		},
		"an identity that the stack makes": {func(p *Plan, f *Facts) { p.MailIdentity, f.Sender.Value = "domain", Sender{} }, nil},
		"an identity that is not": {
			func(_ *Plan, f *Facts) { f.Sender.Value = Sender{} },
			[]string{"warning sender: SES knows neither acme.example nor notices@acme.example: mails wait until it does → " +
				"aws sesv2 create-email-identity --email-identity acme.example, and write the DNS records that it answers"},
		},
		"an identity that is not elsewhere": {
			func(p *Plan, f *Facts) { p.MailRegion, f.Sender.Value = "eu-west-1", Sender{} },
			[]string{"warning sender: SES knows neither acme.example nor notices@acme.example: mails wait until it does → " +
				"aws sesv2 create-email-identity --email-identity acme.example --region eu-west-1, and write the DNS records that it answers"},
		},
		"an identity that waits": {
			func(p *Plan, f *Facts) {
				p.MailIdentity, f.Sender.Value.Domain = "existing", Identity{Name: "acme.example", Exists: true}
			},
			[]string{"warning sender: SES has not verified acme.example: mails wait until it has → " +
				"write the DNS records that `aws sesv2 get-email-identity --email-identity acme.example` shows"},
		},
		"a deployed sender that is not known": {
			func(_ *Plan, f *Facts) { f.Stack.Value.Status, f.Sender.Value = "CREATE_COMPLETE", Sender{} },
			[]string{"warning sender: SES knows neither acme.example nor notices@acme.example: mails wait until it does → is it the sender that was deployed? " +
				"If so: aws sesv2 create-email-identity --email-identity acme.example, and write the DNS records that it answers"},
		},
		"no sender": {
			func(p *Plan, _ *Facts) { p.MailFrom = "" },
			[]string{"warning sender: no sender was named, so none was looked for → --mail-from is the address that mails come from"},
		},
		"a create that was rolled back": {
			func(_ *Plan, f *Facts) { f.Stack.Value.Status = "ROLLBACK_COMPLETE" },
			[]string{"failing stack: auditrelay-prod is ROLLBACK_COMPLETE, which cannot be updated → " +
				"aws cloudformation delete-stack --stack-name auditrelay-prod, then deploy again; its events say what went wrong"},
		},
		"an update that hangs": {
			func(_ *Plan, f *Facts) { f.Stack.Value.Status = "UPDATE_ROLLBACK_FAILED" },
			[]string{"failing stack: auditrelay-prod is UPDATE_ROLLBACK_FAILED → aws cloudformation continue-update-rollback --stack-name auditrelay-prod"},
		},
		"an update that runs": {
			func(_ *Plan, f *Facts) { f.Stack.Value.Status = "UPDATE_IN_PROGRESS" },
			[]string{"warning stack: auditrelay-prod is UPDATE_IN_PROGRESS: something is under way → wait until it has ended"},
		},
		"leftovers": {
			func(_ *Plan, f *Facts) {
				f.Names.Value = []Resource{{"schedule group", "auditrelay-prod", "aws scheduler delete-schedule-group --name auditrelay-prod"}, {"event bus", "auditrelay-prod", "aws events delete-event-bus --name auditrelay-prod"}}
			},
			[]string{
				"failing leftovers: the schedule group auditrelay-prod is left from an earlier stack, and a deploy fails at it (already exists) → aws scheduler delete-schedule-group --name auditrelay-prod",
				"failing leftovers: the event bus auditrelay-prod is left from an earlier stack, and a deploy fails at it (already exists) → aws events delete-event-bus --name auditrelay-prod",
			},
		},
		"some of what is left": {
			func(_ *Plan, f *Facts) {
				f.Names = Answer[[]Resource]{Value: []Resource{{"log group", "/auditrelay/prod/admin", "aws logs delete-log-group"}}, Denied: "events:DescribeEventBus"}
			},
			[]string{
				"failing leftovers: the log group /auditrelay/prod/admin is left from an earlier stack, and a deploy fails at it (already exists) → aws logs delete-log-group",
				"unknown leftovers: it could not be seen: you may not events:DescribeEventBus → let your role events:DescribeEventBus, and look again",
			},
		},
		"what may not be seen": {
			func(_ *Plan, f *Facts) {
				f.Concurrency = Answer[Concurrency]{Denied: "lambda:GetAccountSettings"}
				f.Mail = Answer[Mail]{Err: errors.New("SESv2 GetAccount: TooManyRequestsException")}
			},
			[]string{
				"unknown concurrency: it could not be seen: you may not lambda:GetAccountSettings → let your role lambda:GetAccountSettings, and look again",
				"unknown mail account: it could not be seen: SESv2 GetAccount: TooManyRequestsException → look again later",
			},
		},
		"nothing may be seen": {
			func(_ *Plan, f *Facts) {
				f.Bootstrap.Denied, f.Sender.Denied, f.Stack.Denied, f.Names.Denied = "ssm:GetParameter", "ses:GetEmailIdentity", "cloudformation:DescribeStacks", "events:DescribeEventBus"
			},
			[]string{
				"unknown bootstrap: it could not be seen: you may not ssm:GetParameter → let your role ssm:GetParameter, and look again",
				"unknown sender: it could not be seen: you may not ses:GetEmailIdentity → let your role ses:GetEmailIdentity, and look again",
				"unknown stack: it could not be seen: you may not cloudformation:DescribeStacks → let your role cloudformation:DescribeStacks, and look again",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, f := sound()
			test.fault(&p, &f)
			findings := Account(p, f)
			if diff := cmp.Diff(test.want, ills(findings)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			failing := slices.ContainsFunc(test.want, func(s string) bool { return strings.HasPrefix(s, "failing") })
			if worst := Worst(findings); (worst == Failing) != failing || (worst == OK) != (test.want == nil) {
				t.Errorf("the worst of them is %s", worst)
			}
		})
	}
}

const asked = "ask for 1,000: aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000"
