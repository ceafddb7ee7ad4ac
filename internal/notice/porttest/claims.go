// Package porttest is the suite that every implementation of package notice's ports passes.
package porttest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// Claims is the suite of notice.Claims. Open makes an empty one.
func Claims(t *testing.T, open func(*testing.T) notice.Claims) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 123_000_000, time.UTC)
	const key = "dest-1#involuntary#0"

	t.Run("none", func(t *testing.T) { check(t, open(t), notice.Claim{Key: key}) })

	t.Run("is kept, and changed one by one", func(t *testing.T) {
		s := open(t)
		want := notice.Claim{Key: key, State: notice.Sending, Holder: "m-1", Receive: 3, Try: "a", At: at, Before: at.Add(-24 * time.Hour)}
		first := save(t, s, want, nil)
		want.Revision = 1
		if diff := cmp.Diff(want, first); diff != "" {
			t.Errorf("as stored (-want +got):\n%s", diff)
		}
		check(t, s, want)
		save(t, s, notice.Claim{Key: key, State: notice.Sending, Holder: "m-2", At: at}, directory.ErrChanged)
		check(t, s, want)
		mine, yours := first, first
		mine.State, mine.At = notice.Sent, at.Add(time.Minute)
		yours.State = notice.Free
		mine.Before = time.Time{}
		mine = save(t, s, mine, nil)
		save(t, s, yours, directory.ErrChanged)
		check(t, s, mine)
		check(t, s, notice.Claim{Key: "dest-1#involuntary#1"})
	})

	t.Run("what is not there has no later revision", func(t *testing.T) {
		save(t, open(t), notice.Claim{Key: key, State: notice.Sent, At: at, Revision: 1}, directory.ErrChanged)
	})

	t.Run("of twenty at once, one wins", func(t *testing.T) {
		s := open(t)
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = s.SaveClaim(t.Context(), notice.Claim{Key: key, State: notice.Sending, Holder: fmt.Sprint(i), At: at})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, directory.ErrChanged) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d won", won)
		}
	})
}

func save(t *testing.T, s notice.Claims, c notice.Claim, want error) notice.Claim {
	t.Helper()
	stored, err := s.SaveClaim(t.Context(), c)
	if !errors.Is(err, want) {
		t.Errorf("save %+v: error %v, want %v", c, err, want)
	}
	return stored
}

func check(t *testing.T, s notice.Claims, want notice.Claim) {
	t.Helper()
	got, err := s.Claim(t.Context(), want.Key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
}
