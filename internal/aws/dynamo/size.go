package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Sizer says how large items are, for whoever reckons what the table costs: a write is paid by the whole item, in units of 1 KB.
type Sizer struct{ pack *compressor }

// NewSizer makes one. It is safe for concurrent use.
func NewSizer() (*Sizer, error) {
	pack, err := newCompressor()
	if err != nil {
		return nil, err
	}
	return &Sizer{pack: pack}, nil
}

// Delivery gives the bytes of a delivery in the table and in the index due.
func (s *Sizer) Delivery(d delivery.Delivery) (inTable, inIndex int) {
	i := deliveryItem(d)
	if packed := s.pack.pack(d.Document.JSON); len(packed) <= maxDocument {
		i[attrDocument] = &types.AttributeValueMemberB{Value: packed}
	} else {
		i[attrObject], i[attrSize] = text(objectKey(d.Key)), number(len(d.Document.JSON))
	}
	entry := item{}
	for _, name := range []string{attrPK, attrSK, attrDueShard, attrDue, attrRiding} {
		if i.has(name) {
			entry[name] = i[name]
		}
	}
	return i.bytes(), entry.bytes()
}

// bytes is the size of an item as the service counts it: names and values, where a number takes a byte for two digits and one more, and a list
// three and one for each element.
func (i item) bytes() int {
	n := 0
	for name, v := range i {
		n += len(name) + valueBytes(v)
	}
	return n
}

func valueBytes(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return (len(v.Value)+1)/2 + 1
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberL:
		n := 3
		for _, element := range v.Value {
			n += 1 + valueBytes(element)
		}
		return n
	}
	return 1 // a truth value or null
}
