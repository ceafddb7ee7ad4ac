package dynamo

import (
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestAReceiptIsAWriteUnit holds what docs/scale.md reckons with: of a log with long ids and five destinations too.
func TestAReceiptIsAWriteUnit(t *testing.T) {
	id := strings.Repeat("x", 64)
	var to []string
	for range 5 {
		to = append(to, directory.Identity(id, "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"))
	}
	r := delivery.Receipt{
		Content: delivery.Content{WorkspaceID: id, LogID: id, Hash: "0123456789abcdef"}, MessageID: "5fea7756-0ea4-451a-a703-a558b933e274", To: to,
		Until: time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC),
	}
	if n := receiptItem(r).bytes(); n > 1024 {
		t.Errorf("a receipt has %d bytes", n)
	}
	r.WorkspaceID, r.LogID, r.To = id[:8], id[:36], to[:1]
	if n := receiptItem(r).bytes(); n > 300 {
		t.Errorf("a common receipt has %d bytes", n)
	}
}
