// Package vault seals the credentials of destinations, so that they can stand in the destination's own record.
//
// A sealed text is encrypted with a data key by AES-256-GCM and authenticated together with the destination's id,
// incarnation and owner: moved into another record, it does not open. A data key is made and wrapped by the stage's KMS
// key. There is one for each quarter of a year, so they are few, and an environment remembers an opened one for minutes:
// reading a destination costs no call of KMS.
package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

const (
	// MaxBytes bounds a destination's credentials. The largest in use are client certificates with their chain, of some
	// 10 KB; a record is read with every batch of logs and may have 400 KB.
	MaxBytes = 32 << 10
	// keyBytes is the length of a data key: AES-256.
	keyBytes = 32
	// period is how long new credentials are sealed with one data key. A nonce is random, which is safe for 2^32 texts a
	// key (NIST SP 800-38D, 8.3); a stage seals a few a minute.
	period = 90 * 24 * time.Hour
	// opened is how long a data key is remembered. So long after the stage's key was disabled nothing opens any more.
	opened = 10 * time.Minute
	// form is the first byte of every sealed text.
	form = 1
)

// DataKey is a key that seals credentials, as it is stored: wrapped by the stage's key.
type DataKey struct {
	ID      string
	Wrapped []byte
	MadeAt  time.Time
}

// Keys stores data keys.
type Keys interface {
	// DataKey gives a key as of now, never older, or ErrNoKey.
	DataKey(ctx context.Context, id string) (DataKey, error)
	// AddDataKey stores a key unless its id is taken. Taken is no error: whoever adds one reads next which it is.
	AddDataKey(ctx context.Context, k DataKey) error
}

// ErrNoKey is the answer of Keys for a key that is not there.
var ErrNoKey = errors.New("the data key is not there")

// Wrapper is the stage's key. What it wraps is bound to the data key's id.
type Wrapper interface {
	// NewKey makes a data key of 32 random bytes, and wraps it.
	NewKey(ctx context.Context, id string) (plain, wrapped []byte, err error)
	// Unwrap opens one.
	Unwrap(ctx context.Context, id string, wrapped []byte) (plain []byte, err error)
}

// Vault seals and opens. It is safe for concurrent use.
type Vault struct {
	Keys    Keys
	Wrapper Wrapper
	Now     func() time.Time

	asking singleflight.Group // by data key: those who miss the same one wait for one call

	mu      sync.Mutex
	ciphers map[string]remembered // by data key
}

type remembered struct {
	aead cipher.AEAD
	at   time.Time
}

// Seal encrypts credentials for the destination's record. None, or an empty object, give an empty text.
func (v *Vault) Seal(ctx context.Context, d directory.Destination, credentials json.RawMessage) (directory.Sealed, error) {
	if none(credentials) {
		return nil, nil
	}
	if len(credentials) > MaxBytes {
		return nil, fmt.Errorf("seal the credentials of destination %s: they have %d bytes, at most %d are stored", d.ID, len(credentials), MaxBytes)
	}
	id := keyID(v.Now())
	aead, err := v.cipher(ctx, id, true)
	if err != nil {
		return nil, fmt.Errorf("seal the credentials of destination %s: %w", d.ID, err)
	}
	sealed := append([]byte{form, byte(len(id))}, id...)
	return aead.Seal(sealed, nil, credentials, bound(d)), nil //nolint:gosec // its nonce is random and its own, see cipher.NewGCMWithRandomNonce
}

func none(credentials json.RawMessage) bool {
	var members map[string]json.RawMessage
	return len(credentials) == 0 || json.Unmarshal(credentials, &members) == nil && len(members) == 0
}

// Open decrypts the credentials in a destination's record; nil if it has none. The error is a *failure.Error if they were
// altered or belong to another record: no further try opens them, only new ones help. Any other error says that the data
// key cannot be had now.
func (v *Vault) Open(ctx context.Context, d directory.Destination) (json.RawMessage, error) {
	if len(d.Credentials) == 0 {
		return nil, nil
	}
	id, text, err := parse(d.Credentials)
	if err != nil {
		return nil, damaged(err)
	}
	aead, err := v.cipher(ctx, id, false)
	if errors.Is(err, ErrNoKey) {
		return nil, damaged(fmt.Errorf("data key %s: %w", id, err))
	}
	if err != nil {
		return nil, fmt.Errorf("open the credentials of destination %s: %w", d.ID, err)
	}
	credentials, err := aead.Open(nil, nil, text, bound(d))
	if err != nil {
		return nil, damaged(errors.New("they were altered, or sealed for another record"))
	}
	return credentials, nil
}

func damaged(cause error) error {
	return &failure.Error{Code: failure.ConfigCredentials, Detail: "the sealed credentials do not open", Err: cause}
}

// parse splits a sealed text into the id of its data key and the encrypted rest.
func parse(sealed directory.Sealed) (id string, text []byte, err error) {
	if len(sealed) < 2 || sealed[0] != form || len(sealed) < 2+int(sealed[1]) {
		return "", nil, errors.New("they have an unknown form")
	}
	end := 2 + int(sealed[1])
	return string(sealed[2:end]), sealed[end:], nil
}

// bound is what a sealed text is authenticated with. None of the three holds a NUL.
func bound(d directory.Destination) []byte {
	return []byte(strings.Join([]string{"auditrelay/credentials", d.ID, d.Incarnation, d.WorkspaceID}, "\x00"))
}

// keyID names the data key of a time. All who seal at once so agree on one.
func keyID(now time.Time) string { return strconv.FormatInt(now.Unix()/int64(period/time.Second), 10) }

// cipher gives the cipher of a data key, and makes the key if it is not there and create is set.
func (v *Vault) cipher(ctx context.Context, id string, create bool) (cipher.AEAD, error) {
	v.mu.Lock()
	r, ok := v.ciphers[id]
	v.mu.Unlock()
	if ok && v.Now().Sub(r.at) < opened {
		return r.aead, nil
	}
	aead, err, _ := v.asking.Do(id+strconv.FormatBool(create), func() (any, error) { return v.open(ctx, id, create) })
	if err != nil {
		return nil, err
	}
	return aead.(cipher.AEAD), nil //nolint:errcheck,forcetypeassert // open gives nothing else
}

// open reads a data key, makes a cipher of it and remembers that.
func (v *Vault) open(ctx context.Context, id string, create bool) (cipher.AEAD, error) {
	now := v.Now()
	plain, err := v.key(ctx, id, create)
	if err != nil {
		return nil, err
	}
	if len(plain) != keyBytes {
		return nil, fmt.Errorf("data key %s has %d bytes, want %d", id, len(plain), keyBytes)
	}
	block, err := aes.NewCipher(plain)
	if err != nil {
		return nil, fmt.Errorf("use data key %s: %w", id, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("use data key %s: %w", id, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ciphers == nil {
		v.ciphers = make(map[string]remembered)
	}
	v.ciphers[id] = remembered{aead, now}
	return aead, nil
}

// key gives a data key in the clear. A new one is used only as it was stored: of two that are made at once one stays.
func (v *Vault) key(ctx context.Context, id string, create bool) ([]byte, error) {
	k, err := v.Keys.DataKey(ctx, id)
	if errors.Is(err, ErrNoKey) && create {
		_, wrapped, err := v.Wrapper.NewKey(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("make data key %s: %w", id, err)
		}
		if err := v.Keys.AddDataKey(ctx, DataKey{ID: id, Wrapped: wrapped, MadeAt: v.Now()}); err != nil {
			return nil, fmt.Errorf("store data key %s: %w", id, err)
		}
		return v.key(ctx, id, false)
	}
	if err != nil {
		return nil, fmt.Errorf("read data key %s: %w", id, err)
	}
	plain, err := v.Wrapper.Unwrap(ctx, id, k.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap data key %s: %w", id, err)
	}
	return plain, nil
}
