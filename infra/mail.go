package main

import (
	"net/mail"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsses"
	"github.com/aws/jsii-runtime-go"
)

// The ways to prove to SES that the sender of mails is ours.
const (
	// identityDomain has SES verify the sender's domain, by three DNS records that the stack puts out.
	identityDomain = "domain"
	// identityAddress has SES verify the sender's address alone, by a mail with a link.
	identityAddress = "address"
	// identityExisting leaves it to whoever has done it in this account and region, another stage with the same domain for example.
	identityExisting = "existing"
)

// post is how mails leave.
type post struct {
	set awsses.ConfigurationSet
	// identity is nil if the stack makes none.
	identity awsses.EmailIdentity
}

func newPost(stack awscdk.Stack, s settings) post {
	p := post{set: awsses.NewConfigurationSet(stack, jsii.String("Mails"), &awsses.ConfigurationSetProps{
		ConfigurationSetName: jsii.String(s.stackName()),
		ReputationMetrics:    jsii.Bool(true),
		SuppressionReasons:   awsses.SuppressionReasons_BOUNCES_AND_COMPLAINTS,
	})}
	switch s.MailIdentity {
	case identityDomain:
		p.identity = awsses.NewEmailIdentity(stack, jsii.String("Sender"), &awsses.EmailIdentityProps{Identity: awsses.Identity_Domain(jsii.String(s.mailDomain()))})
	case identityAddress:
		p.identity = awsses.NewEmailIdentity(stack, jsii.String("Sender"), &awsses.EmailIdentityProps{Identity: awsses.Identity_Email(jsii.String(s.mailAddress()))})
	}
	return p
}

// dkim are the DNS records that verify a domain, or empty.
func (p post) dkim(s settings) string {
	if s.MailIdentity != identityDomain {
		return ""
	}
	var records []string
	for _, r := range *p.identity.DkimRecords() {
		records = append(records, *r.Name+" CNAME "+*r.Value)
	}
	return strings.Join(records, ", ")
}

// identities are those that SES may look at for the sender: its domain's, and its own where one exists.
func (g grants) identities() *[]*string {
	name := func(kind, name string) *string {
		return g.stack.FormatArn(&awscdk.ArnComponents{Service: jsii.String("ses"), Resource: jsii.String(kind), ResourceName: jsii.String(name)})
	}
	return &[]*string{
		name("identity", g.s.mailDomain()), name("identity", g.s.mailAddress()), name("configuration-set", *g.post.set.ConfigurationSetName()),
	}
}

// mailAddress is the sender without its name. readSettings has checked it.
func (s settings) mailAddress() string {
	a, err := mail.ParseAddress(s.MailFrom)
	if err != nil {
		return s.MailFrom
	}
	return a.Address
}

func (s settings) mailDomain() string {
	address := s.mailAddress()
	return address[strings.LastIndexByte(address, '@')+1:]
}
