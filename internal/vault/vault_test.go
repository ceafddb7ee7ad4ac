package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/vault"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func siem() directory.Destination {
	return directory.Destination{ID: "siem", Incarnation: "FIRST", WorkspaceID: "acme"}
}

// environment is one of several that share a stage's keys, with a memory of its own.
func environment(keys *memory.Keys, now *time.Time) *vault.Vault {
	return &vault.Vault{Keys: keys, Wrapper: keys, Now: func() time.Time { return *now }}
}

func seal(t *testing.T, v *vault.Vault, d directory.Destination, credentials string) directory.Destination {
	t.Helper()
	var err error
	if d.Credentials, err = v.Seal(t.Context(), d, json.RawMessage(credentials)); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSealAndOpen(t *testing.T) {
	keys, now := &memory.Keys{}, noon
	admin, deliver := environment(keys, &now), environment(keys, &now)
	const credentials = `{"bearer":"s3cr3t"}`
	first, again := seal(t, admin, siem(), credentials), seal(t, admin, siem(), credentials)
	if bytes.Equal(first.Credentials, again.Credentials) || bytes.Contains(first.Credentials, []byte("s3cr3t")) {
		t.Error("a sealed text repeats, or tells")
	}
	for _, d := range []directory.Destination{first, again} {
		if got, err := deliver.Open(t.Context(), d); err != nil || string(got) != credentials {
			t.Errorf("opened %q (%v), want %q", got, err, credentials)
		}
	}
	for _, none := range []string{"", "{}", " { } ", "null"} {
		d := seal(t, admin, siem(), none)
		if got, err := deliver.Open(t.Context(), d); err != nil || got != nil || d.Credentials != nil {
			t.Errorf("%q is sealed as %q and opened as %q (%v), want nothing", none, d.Credentials, got, err)
		}
	}
}

// TestBoundToTheRecord moves a sealed text into other records, and alters it.
func TestBoundToTheRecord(t *testing.T) {
	keys, now := &memory.Keys{}, noon
	v := environment(keys, &now)
	sealed := seal(t, v, siem(), `{"bearer":"s3cr3t"}`)
	for name, change := range map[string]func(*directory.Destination){
		"another id":            func(d *directory.Destination) { d.ID = "siem-2" },
		"made again":            func(d *directory.Destination) { d.Incarnation = "SECOND" },
		"another owner":         func(d *directory.Destination) { d.WorkspaceID = "rival" },
		"parts shifted":         func(d *directory.Destination) { d.ID, d.Incarnation = "siemF", "IRST" },
		"a bit of the text":     func(d *directory.Destination) { d.Credentials[len(d.Credentials)-1] ^= 1 },
		"a bit of the nonce":    func(d *directory.Destination) { d.Credentials[10] ^= 1 },
		"another data key":      func(d *directory.Destination) { d.Credentials[2] ^= 1 },
		"cut short":             func(d *directory.Destination) { d.Credentials = d.Credentials[:len(d.Credentials)-1] },
		"cut to nearly nothing": func(d *directory.Destination) { d.Credentials = d.Credentials[:1] },
		"an unknown form":       func(d *directory.Destination) { d.Credentials[0] = 9 },
	} {
		d := sealed
		d.Credentials = bytes.Clone(sealed.Credentials)
		change(&d)
		got, err := v.Open(t.Context(), d)
		if failure.Of(err).Code != failure.ConfigCredentials || got != nil {
			t.Errorf("%s: opened %q (%v), want %s", name, got, err, failure.ConfigCredentials)
		}
	}
	sealed.Name, sealed.Version, sealed.Revision, sealed.State = "other", 7, 9, directory.Disabled
	if _, err := v.Open(t.Context(), sealed); err != nil {
		t.Errorf("a change that is not of its identity closed it: %v", err)
	}
}

// TestFewKeys seals and opens for fifty thousand destinations over an hour: the stage's key is asked once for each ten
// minutes of an environment, not for a destination.
func TestFewKeys(t *testing.T) {
	keys, now := &memory.Keys{}, noon
	admin, deliver := environment(keys, &now), environment(keys, &now)
	d := seal(t, admin, siem(), `{"bearer":"s3cr3t"}`)
	before := keys.Unwraps()
	for range 50_000 {
		now = now.Add(time.Hour / 50_000)
		if _, err := deliver.Open(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if n := keys.Unwraps() - before; n != 6 {
		t.Errorf("the stage's key was asked %d times in an hour, want 6", n)
	}
}

// TestRotation seals in each month of three years: old texts open all the same, with a data key a quarter.
func TestRotation(t *testing.T) {
	keys, now := &memory.Keys{}, noon
	var sealed []directory.Destination
	ids := make(map[string]bool)
	for range 36 {
		v := environment(keys, &now) // an environment lives for hours
		d := seal(t, v, siem(), `{"bearer":"s3cr3t"}`)
		sealed = append(sealed, d)
		ids[string(d.Credentials[2:2+d.Credentials[1]])] = true
		for _, old := range sealed {
			if got, err := v.Open(t.Context(), old); err != nil || string(got) != `{"bearer":"s3cr3t"}` {
				t.Fatalf("after %v: %q (%v)", now.Sub(noon), got, err)
			}
		}
		now = now.Add(30 * 24 * time.Hour)
	}
	if len(ids) < 12 || len(ids) > 13 {
		t.Errorf("%d data keys in three years, want one a quarter", len(ids))
	}
}

// TestTwoMakeTheKeyAtOnce has two environments make the first data key at the same moment.
func TestTwoMakeTheKeyAtOnce(t *testing.T) {
	for range 50 {
		keys, now := &memory.Keys{}, noon
		var wg sync.WaitGroup
		sealed := make([]directory.Destination, 8)
		for i := range sealed {
			wg.Go(func() { sealed[i] = seal(t, environment(keys, &now), siem(), `{"bearer":"s3cr3t"}`) })
		}
		wg.Wait()
		for _, d := range sealed {
			if _, err := environment(keys, &now).Open(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWhenKeysCannotBeHad loses each call before and after it took effect: the error is our own, never the destination's, and
// what was sealed opens afterwards.
func TestWhenKeysCannotBeHad(t *testing.T) {
	for _, call := range []string{memory.CallDataKey, memory.CallAddDataKey, memory.CallWrapKey, memory.CallUnwrapKey} {
		for _, fault := range []memory.Fault{memory.FailBefore, memory.FailAfter} {
			keys, now, broken := &memory.Keys{}, noon, true
			keys.Hook = func(c string) memory.Fault {
				if broken && c == call {
					return fault
				}
				return memory.OK
			}
			v := environment(keys, &now)
			d := siem()
			var err error
			if d.Credentials, err = v.Seal(t.Context(), d, json.RawMessage(`{"bearer":"s3cr3t"}`)); !errors.Is(err, memory.ErrInjected) || d.Credentials != nil {
				t.Errorf("%s: sealed %q (%v)", call, d.Credentials, err)
			}
			broken = false
			d = seal(t, v, d, `{"bearer":"s3cr3t"}`)
			now, broken = now.Add(time.Hour), call != memory.CallAddDataKey && call != memory.CallWrapKey
			_, err = v.Open(t.Context(), d)
			if _, theirs := errors.AsType[*failure.Error](err); theirs || (err != nil) != broken {
				t.Errorf("%s is lost when opening: %v", call, err)
			}
			broken = false
			if got, err := v.Open(t.Context(), d); err != nil || string(got) != `{"bearer":"s3cr3t"}` {
				t.Errorf("%s: then %q (%v)", call, got, err)
			}
		}
	}
}

func TestTooLarge(t *testing.T) {
	keys, now := &memory.Keys{}, noon
	v := environment(keys, &now)
	for _, c := range []struct {
		bytes int
		ok    bool
	}{{vault.MaxBytes, true}, {vault.MaxBytes + 1, false}} {
		text := `{"k":"` + strings.Repeat("x", c.bytes-8) + `"}`
		if _, err := v.Seal(t.Context(), siem(), json.RawMessage(text)); (err == nil) != c.ok || err != nil && strings.Contains(err.Error(), "xxx") {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
}

// TestAnyTextOpens seals whatever JSON object there is, and opens no text that was not sealed.
func TestAnyTextOpens(t *testing.T) {
	keys, now := &memory.Keys{}, noon
	v := environment(keys, &now)
	rapid.Check(t, func(r *rapid.T) {
		d := directory.Destination{ID: rapid.String().Draw(r, "id"), Incarnation: rapid.String().Draw(r, "incarnation"), WorkspaceID: "w"}
		credentials, err := json.Marshal(map[string]string{"k": rapid.String().Draw(r, "value")})
		if err != nil {
			r.Fatal(err)
		}
		if d.Credentials, err = v.Seal(t.Context(), d, credentials); err != nil {
			r.Fatal(err)
		}
		if got, err := v.Open(t.Context(), d); err != nil || !bytes.Equal(got, credentials) {
			r.Fatalf("%q (%v), want %q", got, err, credentials)
		}
		d.Credentials = rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(r, "noise")
		if got, err := v.Open(t.Context(), d); err == nil {
			r.Fatalf("noise opened as %q", got)
		}
	})
}
