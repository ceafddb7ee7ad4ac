package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Store replaces a destination's credentials; when it returns, they are durable. Its first credentials make the secret.
func (m *Manager) Store(ctx context.Context, destinationID string, credentials json.RawMessage) error {
	name, value := m.Prefix+destinationID, string(credentials)
	m.forget(destinationID)
	_, err := m.Client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &value})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		_, err = m.Client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name: &name, SecretString: &value, KmsKeyId: m.keyID(),
			Description: aws.String("Credentials of the streaming destination " + destinationID),
		})
	}
	if err != nil {
		return fmt.Errorf("store the secret of destination %s: %w", destinationID, err)
	}
	return nil
}

func (m *Manager) keyID() *string {
	if m.KeyID == "" {
		return nil
	}
	return &m.KeyID
}

// Forget removes a destination's credentials at once and for good; none is no error.
func (m *Manager) Forget(ctx context.Context, destinationID string) error {
	m.forget(destinationID)
	_, err := m.Client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{
		SecretId: aws.String(m.Prefix + destinationID), ForceDeleteWithoutRecovery: aws.Bool(true),
	})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing || err == nil {
		return nil
	}
	return fmt.Errorf("delete the secret of destination %s: %w", destinationID, err)
}

func (m *Manager) forget(destinationID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers != nil {
		m.answers.Remove(destinationID)
	}
}
