//go:build integration

package secrets_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/aws/secrets"
)

func TestManager(t *testing.T) {
	client := secretsmanager.NewFromConfig(emulator.Start(t, emulator.Moto))
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	m := &secrets.Manager{Client: client, Prefix: "auditrelay/dev/destinations/", Now: func() time.Time { return now }}
	want := func(step string, fresh bool, credentials string) {
		t.Helper()
		got, err := m.Credentials(t.Context(), "dest-1", fresh)
		if err != nil || string(got) != credentials {
			t.Errorf("%s: credentials %q, error %v; want %q", step, got, err, credentials)
		}
	}
	want("before there is a secret", false, "")
	name := aws.String(m.Prefix + "dest-1")
	if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String(`{"token":"one"}`)}); err != nil {
		t.Fatal(err)
	}
	want("remembered that there was none", false, "")
	want("asked anew", true, `{"token":"one"}`)
	if _, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: name, SecretString: aws.String(`{"token":"two"}`)}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(5*time.Minute - time.Second)
	want("within five minutes", false, `{"token":"one"}`)
	now = now.Add(time.Second)
	want("after five minutes", false, `{"token":"two"}`)
}

func TestStoreAndForget(t *testing.T) {
	m := &secrets.Manager{Client: secretsmanager.NewFromConfig(emulator.Start(t, emulator.Moto)), Prefix: "auditrelay/dev/destinations/", Now: time.Now}
	for _, credentials := range []string{`{"token":"one"}`, `{"token":"two"}`, ""} {
		var err error
		if credentials == "" {
			err = m.Forget(t.Context(), "dest-1")
		} else {
			err = m.Store(t.Context(), "dest-1", json.RawMessage(credentials))
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.Credentials(t.Context(), "dest-1", false); err != nil || string(got) != credentials {
			t.Errorf("credentials %q, error %v; want %q", got, err, credentials)
		}
	}
	if err := m.Forget(t.Context(), "dest-1"); err != nil {
		t.Errorf("forget what is not there: %v", err)
	}
}
