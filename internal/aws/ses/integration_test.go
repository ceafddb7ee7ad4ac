//go:build integration

package ses

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
)

// TestMailArrives reads back what a server of the SES v2 protocol was given.
func TestMailArrives(t *testing.T) {
	account := emulator.Start(t, emulator.SES)
	if err := New(account, Sender{From: "notices@acme.example"}).Send(t.Context(), mail); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, *account.BaseEndpoint+"/store", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	type stored struct {
		From        string `json:"from"`
		Destination struct {
			To []string `json:"to"`
		} `json:"destination"`
		Subject string `json:"subject"`
		Body    struct {
			Text string `json:"text"`
			HTML string `json:"html"`
		} `json:"body"`
	}
	var got struct {
		Emails []stored `json:"emails"`
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := stored{From: "notices@acme.example", Subject: mail.Subject}
	want.Destination.To, want.Body.Text, want.Body.HTML = mail.To, mail.Text, mail.HTML
	if diff := cmp.Diff([]stored{want}, got.Emails); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// TestUnverifiedSender is refused by a server that checks senders, and taken once the sender is verified.
func TestUnverifiedSender(t *testing.T) {
	account := emulator.Start(t, emulator.Moto)
	m := New(account, Sender{From: "notices@acme.example"})
	if got := told(m.Send(t.Context(), mail)); got != "refused for the mail: MessageRejected" {
		t.Errorf("before the verification: %s", got)
	}
	if _, err := sesv2.NewFromConfig(account).CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String("notices@acme.example")}); err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), mail); err != nil {
		t.Errorf("after it: %v", err)
	}
}
