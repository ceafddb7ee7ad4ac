//go:build e2e

package e2e

import "testing"

// TestAllows holds the check of grants itself to IAM's rules, since a check that allows everything would let every story pass.
func TestAllows(t *testing.T) {
	const queue = "arn:aws:sqs:eu-central-1:000000000000:retry"
	via := map[string][]string{"kms:ViaService": {"sqs.eu-central-1.amazonaws.com"}}
	for name, c := range map[string]struct {
		statement string
		need      need
		want      bool
	}{
		"as written":               {`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"` + queue + `"}`, need{action: "sqs:SendMessage", resource: queue}, true},
		"another action":           {`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"` + queue + `"}`, need{action: "sqs:DeleteMessage", resource: queue}, false},
		"another resource":         {`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"` + queue + `"}`, need{action: "sqs:SendMessage", resource: queue + "2"}, false},
		"a list and stars":         {`{"Effect":"Allow","Action":["s3:Get*","s3:Put*"],"Resource":["arn:aws:s3:::b/deliveries/*"]}`, need{action: "s3:GetObject", resource: "arn:aws:s3:::b/deliveries/a/b"}, true},
		"outside of the star":      {`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/deliveries/*"}`, need{action: "s3:GetObject", resource: "arn:aws:s3:::b/payloads/a"}, false},
		"a condition that is met":  {`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":["sqs.eu-central-1.amazonaws.com"]}}}`, need{action: "kms:Decrypt", resource: "key", context: via}, true},
		"a condition that is not":  {`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"s3.eu-central-1.amazonaws.com"}}}`, need{action: "kms:Decrypt", resource: "key", context: via}, false},
		"a key that is not there":  {`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:Other":"x"}}}`, need{action: "kms:Decrypt", resource: "key", context: via}, false},
		"a denial beats the grant": {`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"sqs:*","Resource":"` + queue + `"}`, need{action: "sqs:SendMessage", resource: queue}, false},
	} {
		t.Run(name, func(t *testing.T) {
			statements, err := document(raw(`{"Statement":[` + c.statement + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := allows(statements, c.need); err != nil || got != c.want {
				t.Errorf("%s: allowed is %v (%v), want %v", c.need, got, err, c.want)
			}
		})
	}
}

// A condition that a call without the key would meet is an error unless the check knows that the call has no
// such key.
func TestAnUnknownKeyIsAnError(t *testing.T) {
	const table = "arn:aws:dynamodb:eu-central-1:000000000000:table/directory"
	statements, err := document(raw(`{"Statement":[{"Effect":"Allow","Action":"dynamodb:DeleteItem","Resource":"` + table + `",
		"Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["O#*"]}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		context     map[string][]string
		want, fails bool
	}{
		"not known":   {nil, false, true},
		"another one": {map[string][]string{"dynamodb:LeadingKeys": {"D#a"}}, false, false},
		"one of them": {map[string][]string{"dynamodb:LeadingKeys": {"O#a", "D#a"}}, false, false},
		"as asked":    {map[string][]string{"dynamodb:LeadingKeys": {"O#a"}}, true, false},
	} {
		got, err := allows(statements, need{action: "dynamodb:DeleteItem", resource: table, context: c.context})
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}

func TestAnUnknownConditionIsAnError(t *testing.T) {
	statements, err := document(raw(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if allowed, err := allows(statements, need{action: "sqs:SendMessage", resource: "q"}); allowed || err == nil {
		t.Error("a condition that the check does not know was passed over")
	}
}

// raw is a document as it stands in a file.
type raw string

// MarshalJSON gives the text itself.
func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }
