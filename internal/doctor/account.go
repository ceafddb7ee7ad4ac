package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/auditrelay/auditrelay/internal/region"
)

const (
	// BootstrapVersion is the least version of CDK's bootstrap stack by which the stack can be deployed. The
	// cloud assembly says so (requiresBootstrapStackVersion).
	BootstrapVersion = 6
	// mostUnreserved is what Lambda keeps free for functions without a reservation, in accounts that have as
	// much (AWS, Lambda API Reference, PutFunctionConcurrency). Of a smaller account it keeps everything.
	mostUnreserved = 100
	// young is what the stack counts on where no setting says otherwise, since every account has as much.
	young = 10
	// few is an account in which a burst of logs waits, though nobody starves.
	few = 100
)

// Account holds what was seen of an account against what is to be deployed there.
func Account(p Plan, f Facts) []Finding {
	findings := []Finding{caller(f.Caller, p.Region)}
	if findings[0].Status == Failing {
		return findings // nothing else was answered
	}
	return slices.Concat(findings, where(p), bootstrap(p, f), concurrency(p, f), mail(p, f), stack(p, f), names(p, f))
}

func caller(a Answer[Caller], region string) Finding {
	const check = "credentials"
	if a.Err != nil || a.Denied != "" {
		return failing(check, "AWS does not know who asks: "+reason(a), "sign in, with aws sso login say, or set AWS_PROFILE")
	}
	return ok(check, fmt.Sprintf("account %s in %s, as %s", a.Value.Account, region, a.Value.ARN))
}

// reason puts an answer that has no value into words.
func reason[T any](a Answer[T]) string {
	if a.Denied != "" {
		return "you may not " + a.Denied
	}
	return a.Err.Error()
}

// unknown is the finding where a question was not answered.
func unknown[T any](check string, a Answer[T]) Finding {
	do := "look again later"
	if a.Denied != "" {
		do = "let your role " + a.Denied + ", and look again"
	}
	return Finding{Check: check, Status: Unknown, Found: "it could not be seen: " + reason(a), Do: do}
}

func known[T any](a Answer[T]) bool { return a.Err == nil && a.Denied == "" }

func where(p Plan) []Finding {
	const check = "region"
	if refused, ok := errors.AsType[*region.Refusal](region.Check(p.Region, p.MailRegion)); ok {
		return []Finding{failing(check, refused.Found, refused.Do)}
	}
	if _, known := region.Find(p.Region); !known {
		return []Finding{warning(check, "nothing is known here of "+p.Region, "see whether Lambda, EventBridge Scheduler and SES are there")}
	}
	if p.MailRegion != "" {
		return []Finding{ok(check, p.Region+" has what the stack is made of, and mails leave from "+p.MailRegion)}
	}
	return []Finding{ok(check, p.Region+" has what the stack is made of")}
}

func bootstrap(p Plan, f Facts) []Finding {
	const check = "bootstrap"
	command := "npx cdk bootstrap aws://" + f.Caller.Value.Account + "/" + p.Region
	switch v := f.Bootstrap; {
	case !known(v):
		return []Finding{unknown(check, v)}
	case v.Value == 0:
		return []Finding{failing(check, "CDK was never bootstrapped in this account and region", command)}
	case v.Value < BootstrapVersion:
		return []Finding{failing(check, fmt.Sprintf("CDK's bootstrap stack has version %d, and the stack needs %d", v.Value, BootstrapVersion), command)}
	default:
		return []Finding{ok(check, fmt.Sprintf("version %d", v.Value))}
	}
}

// concurrency asks whether Lambda lets the stack set aside what it wants to, and whether the functions have
// room.
func concurrency(p Plan, f Facts) []Finding {
	const check = "concurrency"
	if !known(f.Concurrency) {
		return []Finding{unknown(check, f.Concurrency)}
	}
	c := f.Concurrency.Value
	free := c.Unreserved
	if f.Stack.Value.Deployed() {
		free += p.Reserved // by the stack itself
	}
	found := fmt.Sprintf("%d at once in this region, %d of them unreserved", c.Limit, c.Unreserved)
	ask := "ask for 1,000: aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000"
	keep := min(mostUnreserved, c.Limit)
	switch {
	case p.Reserved > 0 && free-p.Reserved < keep:
		return []Finding{failing(check, fmt.Sprintf("%s; Lambda keeps %d unreserved, so that reservedConcurrency=%d is refused", found, keep, p.Reserved),
			fmt.Sprintf("set reservedConcurrency to at most %d, or leave it out; or %s", max(0, free-keep), ask))}
	case p.counted() > free:
		return []Finding{warning(check, fmt.Sprintf("%s; the stack counts on %d, and in a burst requeue, admin and notify wait", found, p.counted()),
			fmt.Sprintf("set accountConcurrency to %d; and %s", free, ask))}
	case c.Limit < few:
		return []Finding{warning(check, found+": queues share it, so that a burst of logs waits", ask)}
	case p.Account == 0 && p.Reserved == 0:
		return []Finding{warning(check, fmt.Sprintf("%s; the stack counts on %d unless it is told", found, p.counted()),
			fmt.Sprintf("deploy with --context accountConcurrency=%d", free))}
	}
	return []Finding{ok(check, found)}
}

// counted is how many runs at once the stack counts on.
func (p Plan) counted() int {
	switch {
	case p.Account > 0:
		return p.Account
	case p.Reserved > 0:
		return p.Reserved + mostUnreserved
	}
	return young
}

func mail(p Plan, f Facts) []Finding {
	return slices.Concat(mailAccount(f.Mail), sender(p, f))
}

func mailAccount(a Answer[Mail]) []Finding {
	const check = "mail account"
	if !known(a) {
		return []Finding{unknown(check, a)}
	}
	m := a.Value
	limits := fmt.Sprintf("%.0f mails a day, %.0f a second", m.PerDay, m.PerSecond)
	switch {
	case !m.Sending || m.Enforcement == "SHUTDOWN":
		return []Finding{failing(check, "SES has stopped sending for this account: no mail leaves, and all wait",
			"read what SES wrote to the account's address, and answer in the SES console under Account dashboard")}
	case m.Enforcement == "PROBATION":
		return []Finding{warning(check, "SES reviews this account and may stop it; "+limits, "answer the review in the SES console under Account dashboard")}
	case !m.Production:
		return []Finding{warning(check, "SES keeps this account in its sandbox: only verified recipients get mails; "+limits,
			"aws sesv2 put-account-details --production-access-enabled, see docs/deploy.md; mails wait until then")}
	}
	return []Finding{ok(check, limits)}
}

// sender asks whether SES knows the sender, and whether the stack would make an identity that there is.
func sender(p Plan, f Facts) []Finding {
	const check = "sender"
	if p.MailFrom == "" {
		return []Finding{warning(check, "no sender was named, so none was looked for", "--mail-from is the address that mails come from")}
	}
	if !known(f.Sender) {
		return []Finding{unknown(check, f.Sender)}
	}
	domain := strings.ToLower(p.MailFrom[strings.LastIndexByte(p.MailFrom, '@')+1:])
	s, makes := f.Sender.Value, map[string]string{"domain": domain, "address": p.MailFrom}[p.MailIdentity]
	switch {
	case makes != "" && (makes == s.Domain.Name || makes == s.Address.Name) && f.Stack.Value.Status == "":
		return []Finding{failing(check, "SES has the identity "+makes+" already, and the stack would make it again", "deploy without mailIdentity, or with mailIdentity=existing")}
	case s.Domain.Verified || s.Address.Verified:
		return []Finding{ok(check, "SES knows "+p.MailFrom)}
	case s.Domain.Exists || s.Address.Exists:
		name := cmp.Or(s.Domain.Name, s.Address.Name)
		return []Finding{warning(check, "SES has not verified "+name+": mails wait until it has",
			"write the DNS records that `aws sesv2 get-email-identity --email-identity "+name+atMailRegion(p)+"` shows")}
	case makes != "" && f.Stack.Value.Status == "":
		return []Finding{ok(check, "the stack makes the identity "+makes+", which has to be verified afterwards")}
	}
	found := "SES knows neither " + domain + " nor " + p.MailFrom + ": mails wait until it does"
	do := "aws sesv2 create-email-identity --email-identity " + domain + atMailRegion(p) + ", and write the DNS records that it answers"
	if f.Stack.Value.Deployed() {
		return []Finding{warning(check, found, "is it the sender that was deployed? If so: "+do)}
	}
	return []Finding{warning(check, found, do)} // a deploy makes no identity, and needs none
}

// atMailRegion is the flag of AWS's command line for where mails leave, if that is elsewhere.
func atMailRegion(p Plan) string {
	if p.MailRegion == "" {
		return ""
	}
	return " --region " + p.MailRegion
}

// stack asks what became of an earlier deploy.
func stack(p Plan, f Facts) []Finding {
	const check = "stack"
	if !known(f.Stack) {
		return []Finding{unknown(check, f.Stack)}
	}
	name, s := p.StackName(), f.Stack.Value
	switch {
	case s.Status == "":
		return []Finding{ok(check, "there is no "+name+" yet")}
	case s.Deployed():
		return []Finding{ok(check, name+" is "+s.Status)}
	case s.Status == "ROLLBACK_COMPLETE" || s.Status == "ROLLBACK_FAILED" || s.Status == "CREATE_FAILED" || s.Status == "DELETE_FAILED":
		return []Finding{failing(check, name+" is "+s.Status+", which cannot be updated",
			"aws cloudformation delete-stack --stack-name "+name+", then deploy again; its events say what went wrong")}
	case strings.HasSuffix(s.Status, "_FAILED"):
		return []Finding{failing(check, name+" is "+s.Status, "aws cloudformation continue-update-rollback --stack-name "+name)}
	}
	return []Finding{warning(check, name+" is "+s.Status+": something is under way", "wait until it has ended")}
}

// names asks whether something has the names that a first deploy gives out.
func names(p Plan, f Facts) []Finding {
	const check = "leftovers"
	if !known(f.Stack) {
		return nil
	}
	if f.Stack.Value.Status != "" {
		return nil // they are its own
	}
	var findings []Finding
	for _, r := range f.Names.Value {
		findings = append(findings, failing(check, "the "+r.Kind+" "+r.Name+" is left from an earlier stack, and a deploy fails at it (already exists)", r.Remove))
	}
	switch {
	case !known(f.Names):
		findings = append(findings, unknown(check, f.Names))
	case len(findings) == 0:
		findings = []Finding{ok(check, "nothing of an earlier "+p.StackName()+" is in the way")}
	}
	return findings
}
