package infra

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadSettings(t *testing.T) {
	tests := []struct {
		name    string
		context map[string]any
		// deployable says that there are credentials.
		deployable bool
		want       Props
		refused    []string
	}{
		{
			name:    "only what is needed",
			context: map[string]any{"stage": "dev"},
			want:    Props{Stage: "dev", DestinationRoles: "auditrelay-*", MailFrom: "notices@auditrelay.invalid", MailIdentity: "existing"},
		},
		{
			name:       "all, as the command line gives it",
			deployable: true,
			context: map[string]any{
				"stage": "prod-eu", "destinationRoles": "acme-*", "accountConcurrency": "1000", "reservedConcurrency": "100", "allowPrivateCidrs": "10.1.0.0/16, fd00::/8", "allowHttp": "true", "keepRejectedBodies": "true", "dedupe": "true", "protectTables": "true",
				"alarmMail": "oncall@example.com", "producerAccounts": "111122223333,444455556666",
				"mailFrom": "Acme Audit <notices@acme.example>", "mailIdentity": "existing", "mailReplyTo": "help@acme.example", "mailProduct": "Acme Audit", "mailOff": "recovered,expiry_warning,unrouted",
			},
			want: Props{
				Stage: "prod-eu", DestinationRoles: "acme-*", AccountConcurrency: 1000, ReservedConcurrency: 100, AllowPrivateCIDRs: []string{"10.1.0.0/16", "fd00::/8"}, AllowHTTP: true, KeepRejectedBodies: true, ProtectTables: true,
				Dedupe:    true,
				AlarmMail: "oncall@example.com", ProducerAccounts: []string{"111122223333", "444455556666"},
				MailFrom: "Acme Audit <notices@acme.example>", MailIdentity: "existing", MailReplyTo: "help@acme.example", MailProduct: "Acme Audit",
				MailOff: []string{"recovered", "expiry_warning", "unrouted"},
			},
		},
		{
			name:    "all, as cdk.json gives it, and CDK's own",
			context: map[string]any{"stage": "dev", "reservedConcurrency": 8.0, "allowPrivateCidrs": []any{"10.1.0.0/16"}, "allowHttp": false, "@aws-cdk/x:y": true, "aws:cdk:z": 1},
			want: Props{
				Stage: "dev", DestinationRoles: "auditrelay-*", ReservedConcurrency: 8, AllowPrivateCIDRs: []string{"10.1.0.0/16"},
				MailFrom: "notices@auditrelay.invalid", MailIdentity: "existing",
			},
		},
		{name: "no stage", context: nil, refused: []string{"stage is missing"}},
		{name: "stage", context: map[string]any{"stage": "Dev Team"}, refused: []string{`stage is "Dev Team"`}},
		{name: "roles too wide", context: map[string]any{"stage": "dev", "destinationRoles": "a*"}, refused: []string{`destinationRoles is "a*"`}},
		{name: "roles open in the middle", context: map[string]any{"stage": "dev", "destinationRoles": "abc*def"}, refused: []string{"destinationRoles"}},
		{name: "concurrency too small", context: map[string]any{"stage": "dev", "reservedConcurrency": "7"}, refused: []string{`reservedConcurrency is "7": it must be a whole number from 8 to 1333`}},
		{name: "concurrency too large", context: map[string]any{"stage": "dev", "reservedConcurrency": "1334"}, refused: []string{
			`reservedConcurrency is "1334": it must be a whole number from 8 to 1333, or be left out: a quarter is for retries, and Lambda lets one queue ask for 2 to 1000 runs at once`}},
		{name: "concurrency of a young account", context: map[string]any{"stage": "dev", "accountConcurrency": "10", "reservedConcurrency": "8"}, refused: []string{
			"reservedConcurrency is \"8\": it must be at most accountConcurrency less 100, here 0, since Lambda keeps 100", "ask AWS for more (Service Quotas"}},
		{name: "more than is left", context: map[string]any{"stage": "dev", "accountConcurrency": "500", "reservedConcurrency": "401"}, refused: []string{"here 400"}},
		{name: "fewer than any account has", context: map[string]any{"stage": "dev", "accountConcurrency": "9"}, refused: []string{"a whole number of at least 10", "aws lambda get-account-settings"}},
		{
			name: "the largest reservation", context: map[string]any{"stage": "dev", "accountConcurrency": 1433.0, "reservedConcurrency": 1333.0},
			want: Props{Stage: "dev", DestinationRoles: "auditrelay-*", AccountConcurrency: 1433, ReservedConcurrency: 1333, MailFrom: "notices@auditrelay.invalid", MailIdentity: "existing"},
		},
		{name: "concurrency no number", context: map[string]any{"stage": "dev", "reservedConcurrency": "many"}, refused: []string{"reservedConcurrency"}},
		{name: "range with host bits", context: map[string]any{"stage": "dev", "allowPrivateCidrs": "10.0.0.1/8"}, refused: []string{`allowPrivateCidrs is "10.0.0.1/8"`}},
		{name: "truth", context: map[string]any{"stage": "dev", "allowHttp": "yes"}, refused: []string{"must be true or false"}},
		{name: "mail", context: map[string]any{"stage": "dev", "alarmMail": "On Call <oncall@example.com>"}, refused: []string{"alarmMail", "no name before it"}},
		{name: "account", context: map[string]any{"stage": "dev", "producerAccounts": []any{111122223333.0}}, refused: []string{"producerAccounts", "written as text"}},
		{name: "no sender", deployable: true, context: map[string]any{"stage": "dev"}, refused: []string{"mailFrom is missing", "--context mailFrom=notices@acme.example"}},
		{name: "sender", context: map[string]any{"stage": "dev", "mailFrom": "acme.example"}, refused: []string{`mailFrom is "acme.example"`}},
		{name: "identity", context: map[string]any{"stage": "dev", "mailIdentity": "mine"}, refused: []string{`mailIdentity is "mine"`, "existing, domain, address"}},
		{name: "a region for mails", context: map[string]any{"stage": "dev", "mailRegion": "Frankfurt"}, refused: []string{`mailRegion is "Frankfurt"`, "such as eu-central-1"}},
		{name: "an identity elsewhere", context: map[string]any{"stage": "dev", "mailRegion": "eu-west-1", "mailIdentity": "domain"},
			refused: []string{`mailIdentity is "domain"`, "together with mailRegion"}},
		{name: "mails that must be sent", context: map[string]any{"stage": "dev", "mailOff": "voluntary"}, refused: []string{`mailOff is "voluntary"`}},
		{name: "product", context: map[string]any{"stage": "dev", "mailProduct": "a\r\nBcc: b"}, refused: []string{"mailProduct"}},
		{name: "misspelt", context: map[string]any{"stage": "dev", "allowHTTP": "true"}, refused: []string{"allowHTTP is unknown: these are known: stage"}},
		{name: "everything at once", context: map[string]any{"allowHttp": "1", "x": "y"}, refused: []string{"stage", "allowHttp", "x is unknown"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readSettings(tt.context, tt.deployable)
			if len(tt.refused) == 0 {
				if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
					t.Fatalf("error %v, settings (-want +got):\n%s", err, diff)
				}
				return
			}
			for _, want := range tt.refused {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error %v does not tell of %q", err, want)
				}
			}
		})
	}
}

func TestCheckBuild(t *testing.T) {
	s := Props{Build: t.TempDir()}
	if err := s.CheckBuild(); err == nil || !strings.Contains(err.Error(), "deliver is not compiled") || !strings.Contains(err.Error(), "make build") {
		t.Errorf("an empty build directory: %v", err)
	}
	for _, name := range functionNames() {
		if err := os.MkdirAll(filepath.Join(s.Build, name, "bootstrap"), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CheckBuild(); err != nil {
		t.Error(err)
	}
}

// TestRegions holds what a region makes of the settings, or the sentence by which it is refused.
func TestRegions(t *testing.T) {
	for name, test := range map[string]struct {
		region, mails, want string
		refused             string
	}{
		"nobody has chosen one":            {mails: "eu-west-1", want: "eu-west-1"},
		"mails from the same":              {region: "eu-central-1"},
		"mails from the same, by name":     {region: "eu-central-1", mails: "eu-central-1"},
		"mails from another":               {region: "ap-east-1", mails: "ap-southeast-1", want: "ap-southeast-1"},
		"a region without function URLs":   {region: "eu-central-2"},
		"GovCloud":                         {region: "us-gov-west-1"},
		"a region without SES":             {region: "mx-central-1", refused: "mx-central-1 has no SES, by which mails leave: give mailRegion"},
		"a partition without SES":          {region: "cn-north-1", refused: "this one has no SES at all"},
		"mails from another partition":     {region: "us-gov-west-1", mails: "us-east-1", refused: "it is in another partition of AWS than us-gov-west-1"},
		"mails from where there is no SES": {region: "us-east-1", mails: "ap-east-1", refused: "ap-east-1 has no SES"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Props{MailRegion: test.mails}.in(test.region)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("%v, want %q", err, test.refused)
				}
				return
			}
			if err != nil || s.MailRegion != test.want {
				t.Errorf("mails leave from %q (%v), want %q", s.MailRegion, err, test.want)
			}
		})
	}
}

// TestMailDomains holds which identities of domains SES may take for a sender.
func TestMailDomains(t *testing.T) {
	for sender, want := range map[string][]string{
		"notices@acme.example":                {"acme.example"},
		"Acme <notices@mail.eu.acme.example>": {"mail.eu.acme.example", "eu.acme.example", "acme.example"},
		"Notices@Acme.Example":                {"Acme.Example", "acme.example"},
		"notices@Mail.ACME.example":           {"Mail.ACME.example", "mail.acme.example", "acme.example"},
	} {
		if diff := cmp.Diff(want, Props{MailFrom: sender}.mailDomains()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sender, diff)
		}
	}
}
