package dynamo

import (
	"bytes"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// itemSize is what DynamoDB counts: names and values, a number at about a byte for two digits and one more.
func itemSize(t *testing.T, i item) int {
	t.Helper()
	n := 0
	for name, v := range i {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberB:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += len(v.Value)/2 + 2
		case *types.AttributeValueMemberBOOL:
			n++
		default:
			t.Fatalf("attribute %s has an unexpected type", name)
		}
	}
	return n
}

// TestATypicalLogIsOneWriteUnit holds the price of a cached delivery: up to 1,024 bytes are one unit.
func TestATypicalLogIsOneWriteUnit(t *testing.T) {
	data, err := os.ReadFile("testdata/logs.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	c := new(service).cache(t, &bucket{})
	for line := range bytes.Lines(data) {
		doc, err := auditlog.Parse(bytes.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		k := delivery.Key{DestinationID: "dst_lindqvist-archive-01", WorkspaceID: doc.WorkspaceID, LogID: doc.ID, AcceptedAt: accepted}
		d := delivery.Delivery{Key: k, Attempts: 7, NextAt: accepted.Add(time.Hour), Code: "azure_blob.invalid_authentication", Riding: true, Document: doc}
		i, err := c.packUp(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if got := itemSize(t, i); got > 1024 {
			t.Errorf("log %s of %d bytes is an item of %d bytes, want at most 1024", doc.ID, len(doc.JSON), got)
		}
	}
}

func TestDocumentsComeBack(t *testing.T) {
	c, err := newCompressor()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 100, 10_000, 3_000_000} {
		document := someDelivery("log-1", size).Document.JSON
		got, err := c.unpack(c.pack(document))
		if err != nil || !bytes.Equal(got, document) {
			t.Errorf("%d bytes: got %d back, error %v", size, len(got), err)
		}
	}
	if _, err := c.unpack([]byte("no document")); err == nil {
		t.Error("what was never compressed is decompressed")
	}
}

func BenchmarkPack(b *testing.B) {
	data, err := os.ReadFile("testdata/logs.ndjson")
	if err != nil {
		b.Fatal(err)
	}
	document, _, _ := bytes.Cut(data, []byte("\n"))
	c, err := newCompressor()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c.pack(document)
	}
}

func BenchmarkUnpack(b *testing.B) {
	c, err := newCompressor()
	if err != nil {
		b.Fatal(err)
	}
	packed := c.pack(bytes.Repeat([]byte(`{"eventName":"GetObject"}`), 60))
	for b.Loop() {
		if _, err := c.unpack(packed); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWriteShardsAreEven(t *testing.T) {
	counts := make(map[string]int)
	for i := range 8000 {
		counts[deliveryPK(someDelivery("log-"+strconv.Itoa(i), 0).Key)]++
	}
	if len(counts) != writeShards {
		t.Errorf("%d shards are used, want %d", len(counts), writeShards)
	}
	for pk, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("shard %s has %d of 8,000 deliveries, want about 1,000", pk, n)
		}
	}
}
