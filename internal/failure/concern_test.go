package failure_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/failure"
)

func TestConcerns(t *testing.T) {
	siem, log := failure.Concern{DestinationID: "siem"}, failure.Concern{DestinationID: "siem",
		WorkspaceID: "acme", LogID: "log-1"}
	plain := errors.New("x")
	type told struct {
		Text    string
		Concern failure.Concern
	}
	none := failure.Concern{}
	for name, c := range map[string]struct {
		err  error
		want []told
	}{
		"nothing":                 {nil, nil},
		"nothing about something": {failure.About(siem, nil), nil},
		"an error":                {plain, []told{{"x", none}}},
		"one about something":     {failure.About(log, plain), []told{{"x", log}}},
		"wrapped": {fmt.Errorf("a: %w", failure.About(siem, fmt.Errorf("b: %w", plain))),
			[]told{{"a: b: x", siem}}},
		"said twice": {failure.About(log, failure.About(siem, plain)), []told{{"x", log}}},
		"several": {errors.Join(plain, nil, failure.About(siem, plain),
			failure.About(log, plain)), []told{{"x", none}, {"x", siem}, {"x", log}}},
		"several in one": {errors.Join(plain, errors.Join(failure.About(siem, plain), plain)),
			[]told{{"x", none}, {"x", siem}, {"x", none}}},
		"several about one": {failure.About(siem, errors.Join(plain, plain)), []told{{"x\nx", siem}}},
		"several in words": {fmt.Errorf("both %w and %w", plain, failure.About(siem, plain)),
			[]told{{"both x and x", siem}}},
		"several in one, in words": {fmt.Errorf("a: %w", errors.Join(plain, plain)),
			[]told{{"a: x\nx", none}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []told
			for _, e := range failure.Each(c.err) {
				got = append(got, told{e.Error(), failure.ConcernOf(e)})
				if !errors.Is(e, plain) {
					t.Errorf("%v is no longer what it was", e)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the errors (-want +got):\n%s", diff)
			}
		})
	}
}
