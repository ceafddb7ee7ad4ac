package infra

import (
	"net/mail"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsses"
	"github.com/aws/jsii-runtime-go"
)

// The ways in which SES comes to know the sender of mails. An identity belongs to the account and the region, not
// to a stage: others may send by it, or have made it.
const (
	// identityExisting leaves it to an operator, once in an account and region.
	identityExisting = "existing"
	// identityDomain has the stack make the identity of the sender's domain, which three DNS records verify.
	identityDomain = "domain"
	// identityAddress has the stack make the identity of the sender's address alone, which a mail with a link
	// verifies.
	identityAddress = "address"
)

// post is how mails leave.
type post struct {
	// set is nil if mails leave from another region, in which a stack makes nothing.
	set awsses.ConfigurationSet
	// identity is nil if the stack makes none.
	identity awsses.EmailIdentity
}

func newPost(stack awscdk.Stack, s Props) post {
	var p post
	if s.MailRegion == "" {
		p.set = awsses.NewConfigurationSet(stack, jsii.String("Mails"), &awsses.ConfigurationSetProps{
			ConfigurationSetName: jsii.String(s.stackName()),
			ReputationMetrics:    jsii.Bool(true),
			SuppressionReasons:   awsses.SuppressionReasons_BOUNCES_AND_COMPLAINTS,
		})
	}
	switch s.MailIdentity {
	case identityDomain:
		p.identity = newSender(stack, awsses.Identity_Domain(jsii.String(strings.ToLower(s.mailDomain()))))
	case identityAddress:
		p.identity = newSender(stack, awsses.Identity_Email(jsii.String(s.mailAddress())))
	}
	return p
}

// newSender makes an identity, which outlives the stack: other stages may send by it by then. A create that fails
// takes it back, so that the next one can make it.
func newSender(stack awscdk.Stack, of awsses.Identity) awsses.EmailIdentity {
	sender := awsses.NewEmailIdentity(stack, jsii.String("Sender"), &awsses.EmailIdentityProps{Identity: of})
	sender.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE)
	return sender
}

// setName is the name of the configuration set, or empty.
func (p post) setName() string {
	if p.set == nil {
		return ""
	}
	return *p.set.ConfigurationSetName()
}

// dkim are the DNS records that verify a domain, or empty.
func (p post) dkim(s Props) string {
	if s.MailIdentity != identityDomain {
		return ""
	}
	var records []string
	for _, r := range *p.identity.DkimRecords() {
		records = append(records, *r.Name+" CNAME "+*r.Value)
	}
	return strings.Join(records, ", ")
}

// identities are those that SES may look at for the sender: its own, its domain's and each domain's above, of
// which a verified one is enough
// (https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html). Which of them there are is not known here.
func (g grants) identities() *[]*string {
	name := func(kind, name string) *string {
		at := awscdk.ArnComponents{Service: jsii.String("ses"), Resource: jsii.String(kind), ResourceName: jsii.String(name)}
		if g.s.MailRegion != "" {
			at.Region = jsii.String(g.s.MailRegion)
		}
		return g.stack.FormatArn(&at)
	}
	arns := []*string{name("identity", g.s.mailAddress())}
	for _, domain := range g.s.mailDomains() {
		arns = append(arns, name("identity", domain))
	}
	if set := g.post.setName(); set != "" {
		arns = append(arns, name("configuration-set", set))
	}
	return &arns
}

// mailAddress is the sender without its name. readSettings has checked it.
func (s Props) mailAddress() string {
	a, err := mail.ParseAddress(s.MailFrom)
	if err != nil {
		return s.MailFrom
	}
	return a.Address
}

func (s Props) mailDomain() string {
	address := s.mailAddress()
	return address[strings.LastIndexByte(address, '@')+1:]
}

// mailDomains are the sender's domain, as it is written and in the lower case that SES has domains in, and each
// domain above it that is more than a top-level one.
func (s Props) mailDomains() []string {
	domains := []string{s.mailDomain()}
	for domain := strings.ToLower(s.mailDomain()); strings.Contains(domain, "."); {
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return domains
}
