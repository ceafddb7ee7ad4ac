package dynamo

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// testListing has workspaces and destinations of the same ids, some of which begin with one another's, and what else stands in the table.
func testListing(t *testing.T, d *Directory) {
	t.Helper()
	want := []string{"a", "a-1", "a.1", "a1", "a_1", "b"} // as they sort
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		w := directory.Workspace{ID: want[i], Kind: directory.Standalone, Incarnation: "w" + want[i]}
		if i == 4 {
			w.ParentID = "a"
		}
		if err := d.PutWorkspace(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if _, err := d.PutDestination(t.Context(), directory.Destination{ID: want[i], WorkspaceID: "a", Incarnation: "d" + want[i]}); err != nil {
			t.Fatal(err)
		}
	}
	budget := &Budget{Client: d.Client, Table: d.Table}
	for i := range 30 {
		w := delivery.Window{Start: accepted.Add(time.Duration(i) * time.Minute), Length: time.Minute}
		if _, err := budget.Reserve(t.Context(), "da", w, 1); err != nil {
			t.Fatal(err)
		}
		if err := d.Keep(t.Context(), directory.Outgoing{ID: fmt.Sprint("o-", i), At: accepted}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(size int) (workspaces, destinations []string) {
		for after := ""; ; {
			page, err := d.WorkspacesAfter(t.Context(), after, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range page {
				workspaces, after = append(workspaces, w.ID), w.ID
			}
			if len(page) < size {
				break
			}
		}
		for after := ""; ; {
			page, err := d.DestinationsAfter(t.Context(), after, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, dest := range page {
				destinations, after = append(destinations, dest.ID), dest.ID
			}
			if len(page) < size {
				return workspaces, destinations
			}
		}
	}
	compare := func(what string, want []string) {
		t.Helper()
		for _, size := range []int{1, 3, 6, 100} {
			workspaces, destinations := list(size)
			if diff := cmp.Diff([][]string{want, want}, [][]string{workspaces, destinations}); diff != "" {
				t.Errorf("%s, pages of %d (-want +got):\n%s", what, size, diff)
			}
		}
	}
	compare("all", want)
	for parent, child := range map[string]string{"a": "a_1", "a_1": "", "none": ""} {
		if got, err := d.Child(t.Context(), parent); err != nil || got != child {
			t.Errorf("a child of %s is %q, error %v, want %q", parent, got, err, child)
		}
	}
	err := errors.Join(
		d.DeleteWorkspace(t.Context(), directory.Workspace{ID: "a-1", Incarnation: "wa-1", Revision: 1}),
		d.DeleteDestination(t.Context(), directory.Destination{ID: "a-1", WorkspaceID: "a", Incarnation: "da-1", Revision: 1}),
	)
	if err != nil {
		t.Fatal(err)
	}
	compare("one removed", []string{"a", "a.1", "a1", "a_1", "b"})
}

func TestListing(t *testing.T) {
	testListing(t, &Directory{Client: tables(), Table: "directory", Now: time.Now})
}

// TestALateIndexShortensNoPage has the index show records for a minute after they were removed.
func TestALateIndexShortensNoPage(t *testing.T) {
	now := accepted
	c := tables()
	c.Tables.Now = func() time.Time { return now }
	d := &Directory{Client: c, Table: "directory", Now: c.Tables.Now}
	var want []string
	for i := range 10 {
		dest, err := d.PutDestination(t.Context(), directory.Destination{ID: fmt.Sprint("dest-", i), WorkspaceID: "a", Incarnation: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		c.Tables.IndexLag = func(string, string, string) time.Duration { return time.Minute }
		now = now.Add(time.Second)
		if i%2 == 0 {
			err = d.DeleteDestination(t.Context(), dest)
		} else {
			want = append(want, dest.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Tables.IndexLag = nil
		now = now.Add(time.Second)
	}
	page, err := d.DestinationsAfter(t.Context(), "", 3)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, dest := range page {
		got = append(got, dest.ID)
	}
	if diff := cmp.Diff(want[:3], got); diff != "" {
		t.Errorf("the first page (-want +got):\n%s", diff)
	}
}

// TestAListReadsOnlyWhatItLists counts the calls for a page beside a hundred thousand windows of budgets, which TTL has left for two days.
func TestAListReadsOnlyWhatItLists(t *testing.T) {
	c := tables()
	d := &Directory{Client: c, Table: "directory", Now: time.Now}
	for i := range 250 {
		if _, err := d.PutDestination(t.Context(), directory.Destination{ID: fmt.Sprintf("dest-%03d", i), WorkspaceID: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	budget := &Budget{Client: c, Table: "directory"}
	for i := range 100_000 {
		w := delivery.Window{Start: accepted.Add(time.Duration(i) * time.Minute), Length: time.Minute}
		if _, err := budget.Reserve(t.Context(), "i", w, 1); err != nil {
			t.Fatal(err)
		}
	}
	calls := make(map[string]int)
	c.Carry = func(_ context.Context, call dynamotest.Call, reach func() error) error {
		calls[call.Operation]++
		return reach()
	}
	d.Client = c
	page, err := d.DestinationsAfter(t.Context(), "dest-020", 101)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"Query": 1, "BatchGetItem": 2}, calls); diff != "" || len(page) != 101 || page[0].ID != "dest-021" {
		t.Errorf("%d destinations; calls (-want +got):\n%s", len(page), diff)
	}
}
