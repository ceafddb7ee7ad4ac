// Package secrets reads destinations' credentials from Secrets Manager.
package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// keptFor is how long an answer is remembered. One that turns out unchanged is remembered for twice as long the next time, up to keptLongest: at
	// 50,000 destinations, reading each every five minutes in every environment would cost more than all else. A failure of authentication reads
	// anew at once, see package sink.
	keptFor     = 5 * time.Minute
	keptLongest = time.Hour
	// mostBytes bounds what is remembered, those that were used least recently go first; answerBytes is what an answer takes besides its texts.
	mostBytes   = 32 << 20
	answerBytes = 250
)

// Manager gives credentials; each destination has one secret, named by Prefix and its id. It implements sink.Secrets and is safe for concurrent
// use.
type Manager struct {
	Client *secretsmanager.Client
	Prefix string
	// KeyID is the customer-managed key that new secrets are encrypted with; empty for the account's default.
	KeyID string
	Now   func() time.Time

	mu      sync.Mutex
	answers *simplelru.LRU[string, answer]
	bytes   int
}

type answer struct {
	at          time.Time
	keep        time.Duration
	credentials json.RawMessage
}

// Credentials gives a destination's credentials, or nil if it has no secret. They may be five minutes old, and an hour if they have not changed for
// two, unless fresh is true.
func (m *Manager) Credentials(ctx context.Context, destinationID string, fresh bool) (json.RawMessage, error) {
	now := m.Now()
	a, ok := m.remembered(destinationID)
	if ok && !fresh && now.Sub(a.at) < a.keep {
		return a.credentials, nil
	}
	credentials, err := m.read(ctx, destinationID)
	if err != nil {
		return nil, err
	}
	keep := keptFor
	if ok && !fresh && bytes.Equal(a.credentials, credentials) {
		keep = min(2*a.keep, keptLongest)
	}
	m.remember(destinationID, answer{at: now, keep: keep, credentials: credentials})
	return credentials, nil
}

func (m *Manager) remembered(destinationID string) (answer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		return answer{}, false
	}
	return m.answers.Get(destinationID)
}

func (m *Manager) remember(destinationID string, a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		answers, err := simplelru.NewLRU(mostBytes/answerBytes, func(id string, a answer) { m.bytes -= size(id, a) })
		if err != nil {
			panic("secrets: " + err.Error()) // the size is a constant
		}
		m.answers = answers
	}
	m.answers.Remove(destinationID)
	m.answers.Add(destinationID, a)
	for m.bytes += size(destinationID, a); m.bytes > mostBytes; {
		m.answers.RemoveOldest()
	}
}

func size(id string, a answer) int { return answerBytes + len(id) + len(a.credentials) }

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
