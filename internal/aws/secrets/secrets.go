// Package secrets reads destinations' credentials from Secrets Manager.
package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// keptFor is how long an answer is remembered.
const keptFor = 5 * time.Minute

// Manager gives credentials; each destination has one secret, named by Prefix and its id. It implements sink.Secrets and is safe for concurrent
// use.
type Manager struct {
	Client *secretsmanager.Client
	Prefix string
	// KeyID is the customer-managed key that new secrets are encrypted with; empty for the account's default.
	KeyID string
	Now   func() time.Time

	mu      sync.Mutex
	answers map[string]answer
}

type answer struct {
	at          time.Time
	credentials json.RawMessage
}

// Credentials gives a destination's credentials, or nil if it has no secret. They may be five minutes old, unless fresh is true.
func (m *Manager) Credentials(ctx context.Context, destinationID string, fresh bool) (json.RawMessage, error) {
	now := m.Now()
	m.mu.Lock()
	a, ok := m.answers[destinationID]
	m.mu.Unlock()
	if ok && !fresh && now.Sub(a.at) < keptFor {
		return a.credentials, nil
	}
	credentials, err := m.read(ctx, destinationID)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		m.answers = make(map[string]answer)
	}
	m.answers[destinationID] = answer{at: now, credentials: credentials}
	return credentials, nil
}

func (m *Manager) read(ctx context.Context, destinationID string) (json.RawMessage, error) {
	out, err := m.Client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(m.Prefix + destinationID)})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret of destination %s: %w", destinationID, err)
	}
	if out.SecretString == nil {
		return nil, fmt.Errorf("the secret of destination %s is binary; it must be a JSON text", destinationID)
	}
	return json.RawMessage(*out.SecretString), nil
}
