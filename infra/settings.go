package infra

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/region"
)

// Props are what one deployment of the stack can choose, the settings of docs/deploy.md. The CDK app takes them from
// its context (FromContext), an app of somebody else's writes them; the same rules hold for both, and New names every
// one that is broken.
type Props struct {
	// Stage sets apart several deployments in one account and region, and stands in the names of what they hold: a
	// lower-case word of at most 20 letters, digits and dashes that begins with a letter. Required. Changing it makes
	// another deployment.
	Stage string
	// DestinationRoles is a pattern of the names that roles of S3 destinations may have, in whatever account; no other
	// role is assumed. A name, or at least three characters of one and a closing *; empty for auditrelay-*.
	DestinationRoles string
	// MailFrom is the sender of mails about connections, an address with or without a name before it. Required.
	MailFrom string
	// MailIdentity is how SES knows the sender: existing, domain or address; empty for existing.
	MailIdentity string
	// MailRegion is where mails leave, if not from the stack's own region; empty for that. With it, MailIdentity is
	// existing.
	MailRegion string
	// MailReplyTo is where answers go, a bare address; empty for the sender.
	MailReplyTo string
	// MailProduct stands in each subject, at most 60 characters; empty for auditrelay.
	MailProduct string
	// MailOff are the kinds of mails that are not sent, of recovered, expiry_warning and unrouted.
	MailOff []string
	// AlarmMail gets alarms by mail, a bare address; empty for nobody.
	AlarmMail string
	// ProducerAccounts are other AWS accounts whose roles may send logs, by their ids of twelve digits.
	ProducerAccounts []string
	// AccountConcurrency is how many runs at once Lambda has for the account and region, at least 10; 0 for what every
	// account has.
	AccountConcurrency int
	// ReservedConcurrency of them is set aside for deliver, and bounds it, from 8 to 1,333; 0 for none. With
	// AccountConcurrency, at most that less 100.
	ReservedConcurrency int
	// AllowPrivateCIDRs opens private ranges to HTTP destinations, with no bit set after the prefix.
	AllowPrivateCIDRs []string
	// AllowHTTP opens receivers without TLS.
	AllowHTTP bool
	// KeepRejectedBodies has the queue rejected keep messages that are no JSON objects, whatever they hold.
	KeepRejectedBodies bool
	// Dedupe has logs known that are sent again within a day.
	Dedupe bool
	// ProtectTables has DynamoDB refuse to delete the tables, whoever asks.
	ProtectTables bool
	// Build is the directory of the compiled functions, <function>/bootstrap in it, as `make build` makes it. Required.
	Build string
	// Env is the account and region that the stack goes to. A region where it cannot work is refused. Nil leaves both
	// to whoever deploys the template, and the region unchecked.
	Env *awscdk.Environment
}

const (
	defaultDestinationRoles = "auditrelay-*"
	// senderToBe stands for the sender where nothing can be deployed. No mail leaves an address of this domain, RFC 2606.
	senderToBe = "notices@auditrelay.invalid"
)

var (
	stagePattern   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	productPattern = regexp.MustCompile(`^[^\pC]{0,60}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]$`)
	rolesPattern   = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{3,}\*?$`)
)

// readSettings reads the deployment's Props. The error names every one that is missing, malformed or unknown, and what to write instead.
// Deployable says that the result may be deployed, for which more is required than to look at the template.
func readSettings(context map[string]any, deployable bool) (Props, error) {
	r := reader{context: context}
	s := Props{
		Stage: r.text("stage", "", stagePattern,
			"a lower-case word of at most 20 letters, digits and dashes that begins with a letter, such as `--context stage=dev`"),
		DestinationRoles: r.text("destinationRoles", defaultDestinationRoles, rolesPattern,
			"a role name, or at least three characters of one and a closing *, such as auditrelay-*"),
		MailFrom:         r.sender("mailFrom", deployable),
		MailIdentity:     r.choice("mailIdentity", identityExisting, identityDomain, identityAddress),
		MailRegion:       r.region("mailRegion"),
		MailReplyTo:      r.address("mailReplyTo"),
		MailProduct:      r.text("mailProduct", "", productPattern, "a name of at most 60 characters"),
		MailOff:          r.kinds("mailOff"),
		AlarmMail:        r.address("alarmMail"),
		ProducerAccounts: r.accounts("producerAccounts"),
		AccountConcurrency: r.count("accountConcurrency", youngAccount, 0,
			"what `aws lambda get-account-settings --query AccountLimit.ConcurrentExecutions` prints"),
		AllowPrivateCIDRs:  r.prefixes("allowPrivateCidrs"),
		AllowHTTP:          r.truth("allowHttp"),
		KeepRejectedBodies: r.truth("keepRejectedBodies"),
		ProtectTables:      r.truth("protectTables"),
		Dedupe:             r.truth("dedupe"),
	}
	s.ReservedConcurrency = r.reservation("reservedConcurrency", s.AccountConcurrency)
	if s.MailRegion != "" && s.MailIdentity != identityExisting {
		r.refuse("mailIdentity", s.MailIdentity, "existing, or be left out, together with mailRegion: a stack makes nothing in another region")
	}
	r.unknown()
	return s, errors.Join(r.errs...)
}

// context are the settings by their names in the CDK context, so that one set of rules reads them, wherever they come
// from. A zero value counts as left out.
func (s Props) context() map[string]any {
	values := map[string]any{
		"stage": s.Stage, "destinationRoles": s.DestinationRoles,
		"mailFrom": s.MailFrom, "mailIdentity": s.MailIdentity, "mailRegion": s.MailRegion, "mailReplyTo": s.MailReplyTo,
		"mailProduct": s.MailProduct, "mailOff": strings.Join(s.MailOff, ","), "alarmMail": s.AlarmMail,
		"producerAccounts":  strings.Join(s.ProducerAccounts, ","),
		"allowPrivateCidrs": strings.Join(s.AllowPrivateCIDRs, ","), "allowHttp": s.AllowHTTP,
		"keepRejectedBodies": s.KeepRejectedBodies, "dedupe": s.Dedupe, "protectTables": s.ProtectTables,
	}
	if s.AccountConcurrency != 0 {
		values["accountConcurrency"] = s.AccountConcurrency
	}
	if s.ReservedConcurrency != 0 {
		values["reservedConcurrency"] = s.ReservedConcurrency
	}
	return values
}

// checked are the settings with defaults in place of what was left out, or the error that names all that is wrong.
func (s Props) checked() (Props, error) {
	read, err := readSettings(s.context(), true)
	if err != nil {
		return s, err
	}
	read.Build, read.Env = s.Build, s.Env
	if s.Env != nil && s.Env.Region != nil && !*awscdk.Token_IsUnresolved(s.Env.Region) {
		if read, err = read.in(*s.Env.Region); err != nil {
			return s, err
		}
	}
	return read, read.CheckBuild()
}

// in are the settings of a stack in a region, or the error why it cannot work there. The region is empty where
// nobody has chosen one yet.
func (s Props) in(name string) (Props, error) {
	if name == "" {
		return s, nil
	}
	if s.MailRegion == name {
		s.MailRegion = ""
	}
	return s, region.Check(name, s.MailRegion)
}

// CheckBuild says whether every function is compiled, as New does.
func (s Props) CheckBuild() error {
	for _, name := range functionNames() {
		path := filepath.Join(s.Build, name, "bootstrap")
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("the function %s is not compiled (%w): run `make build` first", name, err)
		}
	}
	return nil
}

// reader takes values out of the CDK context. A value from cdk.json has its JSON type, one from the command line is always text.
type reader struct {
	context map[string]any
	asked   []string
	errs    []error
}

func (r *reader) value(key string) string {
	r.asked = append(r.asked, key)
	switch v := r.context[key].(type) {
	case nil:
		return ""
	case []any:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = fmt.Sprint(w)
		}
		return strings.Join(words, ",")
	default:
		return strings.TrimSpace(fmt.Sprint(v))
	}
}

func (r *reader) refuse(key, got, want string) {
	if got == "" {
		r.errs = append(r.errs, fmt.Errorf("the setting %s is missing: it must be %s", key, want))
		return
	}
	r.errs = append(r.errs, fmt.Errorf("the setting %s is %q: it must be %s", key, got, want))
}

func (r *reader) text(key, fallback string, pattern *regexp.Regexp, want string) string {
	v := r.value(key)
	if v == "" {
		v = fallback
	}
	if !pattern.MatchString(v) {
		r.refuse(key, v, want)
	}
	return v
}

// region is the name of one, or empty.
func (r *reader) region(key string) string {
	v := r.value(key)
	if v != "" && !regionPattern.MatchString(v) {
		r.refuse(key, v, "a region of AWS such as eu-central-1, or be left out")
	}
	return v
}

// count is a whole number from least to most, 0 if it is left out; most is 0 where there is none. Why says where the
// bounds come from. A number that was refused counts as left out.
func (r *reader) count(key string, least, most int, why string) int {
	v := r.value(key)
	if v == "" {
		return 0
	}
	bounds := fmt.Sprintf("of at least %d", least)
	if most > 0 {
		bounds = fmt.Sprintf("from %d to %d", least, most)
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || most > 0 && n > most {
		r.refuse(key, v, "a whole number "+bounds+", or be left out: "+why)
		return 0
	}
	return n
}

// address is a bare mail address.
func (r *reader) address(key string) string {
	v := r.value(key)
	if v == "" {
		return ""
	}
	if a, err := mail.ParseAddress(v); err != nil || a.Address != v {
		r.refuse(key, v, "a mail address such as oncall@example.com, with no name before it")
	}
	return v
}

// sender is a mail address that may have a name before it.
func (r *reader) sender(key string, required bool) string {
	v := r.value(key)
	if v == "" && !required {
		return senderToBe
	}
	if _, err := mail.ParseAddress(v); err != nil {
		r.refuse(key, v, "the sender of mails about connections, an address that SES can verify for you, such as `--context mailFrom=notices@acme.example`")
	}
	return v
}

// choice is one of a few words, the first if it is left out.
func (r *reader) choice(key string, words ...string) string {
	v := r.value(key)
	if v == "" {
		return words[0]
	}
	if !slices.Contains(words, v) {
		r.refuse(key, v, "one of "+strings.Join(words, ", "))
	}
	return v
}

// kinds are those of mails that can be switched off.
func (r *reader) kinds(key string) []string {
	off := r.words(key)
	if len(off) == 0 {
		return nil
	}
	if err := (config.Notify{MailOff: off}).CheckMailOff(); err != nil {
		r.refuse(key, strings.Join(off, ","), "recovered, expiry_warning, unrouted, or several with commas between them")
	}
	return off
}

func (r *reader) accounts(key string) []string {
	var ids []string
	for _, word := range r.words(key) {
		if !accountPattern.MatchString(word) {
			r.refuse(key, word, "AWS account ids of twelve digits, separated by commas, and written as text in cdk.json")
		}
		ids = append(ids, word)
	}
	return ids
}

// words takes a list that is written with commas, or as an array in cdk.json.
func (r *reader) words(key string) []string {
	return strings.FieldsFunc(r.value(key), func(c rune) bool { return c == ',' || c == ' ' })
}

func (r *reader) prefixes(key string) []string {
	var list []string
	for _, word := range r.words(key) {
		p, err := netip.ParsePrefix(word)
		if err != nil || p != p.Masked() {
			r.refuse(key, word, "ranges such as 10.20.0.0/16, separated by commas, with no bit set after the prefix")
			continue
		}
		list = append(list, p.String())
	}
	return list
}

func (r *reader) truth(key string) bool {
	v := r.value(key)
	switch v {
	case "true":
		return true
	case "", "false":
		return false
	}
	r.refuse(key, v, "true or false")
	return false
}

// unknown refuses names that nothing reads, since a misspelt setting would silently not apply. CDK's own have a colon, or begin with @ or cdk.
func (r *reader) unknown() {
	for _, key := range slices.Sorted(maps.Keys(r.context)) {
		if strings.Contains(key, ":") || strings.HasPrefix(key, "@") || strings.HasPrefix(key, "cdk") || slices.Contains(r.asked, key) {
			continue
		}
		r.errs = append(r.errs, fmt.Errorf("the setting %s is unknown: these are known: %s", key, strings.Join(r.asked, ", ")))
	}
}
