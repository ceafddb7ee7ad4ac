package memory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/auditrelay/auditrelay/internal/vault"
)

// Keys are data keys, wrapped by a key that lives as long as this value. It implements vault.Keys and vault.Wrapper.
type Keys struct {
	Hook Hook

	mu      sync.Mutex
	stage   [32]byte
	made    map[string]vault.DataKey
	unwraps int
}

// DataKey implements vault.Keys.
func (k *Keys) DataKey(_ context.Context, id string) (found vault.DataKey, err error) {
	err = k.Hook.do(CallDataKey, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		var ok bool
		if found, ok = k.made[id]; !ok {
			return vault.ErrNoKey
		}
		return nil
	})
	return found, err
}

// AddDataKey implements vault.Keys.
func (k *Keys) AddDataKey(_ context.Context, key vault.DataKey) error {
	return k.Hook.do(CallAddDataKey, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.made == nil {
			k.made = make(map[string]vault.DataKey)
		}
		if _, ok := k.made[key.ID]; !ok {
			k.made[key.ID] = key
		}
		return nil
	})
}

// NewKey implements vault.Wrapper.
func (k *Keys) NewKey(_ context.Context, id string) (plain, wrapped []byte, err error) {
	err = k.Hook.do(CallWrapKey, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.stage == [32]byte{} {
			_, _ = rand.Read(k.stage[:]) // it never fails
		}
		plain = make([]byte, 32)
		_, _ = rand.Read(plain)
		wrapped = k.mask(id, plain)
		return nil
	})
	return plain, wrapped, err
}

// Unwrap implements vault.Wrapper.
func (k *Keys) Unwrap(_ context.Context, id string, wrapped []byte) (plain []byte, err error) {
	err = k.Hook.do(CallUnwrapKey, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.unwraps++
		plain = k.mask(id, wrapped)
		return nil
	})
	return plain, err
}

// Unwraps counts the data keys that were unwrapped.
func (k *Keys) Unwraps() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unwraps
}

// mask hides a data key, and shows it again. Nothing of this leaves the process.
func (k *Keys) mask(id string, key []byte) []byte {
	pad := sha256.Sum256(slices.Concat(k.stage[:], []byte(id)))
	masked := slices.Clone(key)
	for i := range masked {
		masked[i] ^= pad[i%len(pad)]
	}
	return masked
}
