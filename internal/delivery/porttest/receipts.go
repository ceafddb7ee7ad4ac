package porttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Receipts is the suite of delivery.Receipts. Each test opens an empty store.
func Receipts(t *testing.T, open func(t *testing.T) delivery.Receipts) {
	for name, test := range map[string]func(*testing.T, delivery.Receipts){
		"every field comes back":        receiptBack,
		"a newer one over an older one": receiptOver,
		"two logs under one id":         receiptNamesakes,
		"more than one call can carry":  manyReceipts,
		"nothing to do":                 noReceipts,
		"a context that has ended":      receiptsEnded,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func receipt(log string, to ...string) delivery.Receipt {
	return delivery.Receipt{
		Content: delivery.Content{WorkspaceID: "ws_1.main-x", LogID: log, Hash: "0123456789abcdef"}, MessageID: "m-" + log, To: to,
		Until: accepted.Add(24 * time.Hour).Truncate(time.Second),
	}
}

func keep(t *testing.T, s delivery.Receipts, rs ...delivery.Receipt) {
	t.Helper()
	if err := s.Keep(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
}

// looks fails the test unless exactly those receipts are there, of their logs and of one that has none.
func looks(t *testing.T, s delivery.Receipts, want ...delivery.Receipt) {
	t.Helper()
	all := map[delivery.Content]delivery.Receipt{}
	for _, r := range want {
		all[r.Content] = r
	}
	logs := append(slices.Collect(maps.Keys(all)), receipt("never kept").Content)
	got, err := s.Look(t.Context(), logs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

func receiptBack(t *testing.T, s delivery.Receipts) {
	r := receipt(strings.Repeat("L.-_0a", 21)+"ll", "siem~0b1c", strings.Repeat("d", 128)+"~0b1d")
	r.WorkspaceID = strings.Repeat("W.-_5b", 21) + "ww"
	keep(t, s, r)
	looks(t, s, r)
}

func receiptOver(t *testing.T, s delivery.Receipts) {
	r := receipt("a", "siem~1")
	keep(t, s, r)
	r.To, r.Until, r.MessageID = []string{"siem~1", "archive~2"}, r.Until.Add(-time.Hour), "m-2"
	keep(t, s, r)
	looks(t, s, r)
}

func receiptNamesakes(t *testing.T, s delivery.Receipts) {
	one, two, other := receipt("a", "siem~1"), receipt("a", "siem~1"), receipt("a", "siem~1")
	two.Hash, other.WorkspaceID = "fedcba9876543210", "ws_2"
	keep(t, s, one, two, other)
	looks(t, s, one, two, other)
}

func manyReceipts(t *testing.T, s delivery.Receipts) {
	var rs []delivery.Receipt
	for i := range 130 {
		rs = append(rs, receipt(fmt.Sprint("log-", i), "siem~1"))
	}
	keep(t, s, rs...)
	looks(t, s, rs...)
}

func noReceipts(t *testing.T, s delivery.Receipts) {
	keep(t, s)
	looks(t, s)
}

func receiptsEnded(t *testing.T, s delivery.Receipts) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Keep(ctx, []delivery.Receipt{receipt("a", "siem~1")}); err == nil {
		t.Error("kept in a context that has ended")
	}
	if _, err := s.Look(ctx, []delivery.Content{receipt("a").Content}); err == nil {
		t.Error("looked in a context that has ended")
	}
}
