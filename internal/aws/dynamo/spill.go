package dynamo

import (
	"crypto/rand"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// maxDocument is the largest compressed document, in bytes, that stands in its item. The table would take ten times as much, but each of a
// delivery's writes is paid by the whole item, and a partition takes 1 MB of writes a second: from some KB on, an object is cheaper.
const maxDocument = 32 << 10

// objectKey is a new name for a delivery's document outside the table. It is never used twice, so that removing the document of an item that
// was replaced cannot take away that of its replacement. An object that no item came to name goes by the bucket's lifecycle rule.
func objectKey(k delivery.Key) string {
	return "deliveries/" + k.DestinationID + "/" + k.LogID + "/" + rand.Text()
}
