package dynamo

import (
	_ "embed" // for the dictionary
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/zstd"

	"github.com/auditrelay/auditrelay/events"
)

// dictionary holds what audit logs have in common: a log of 1.4 KB shrinks to a third with it, to a half without, and so fits into one write
// unit. Its number stands in each compressed document. To change the dictionary, add a second one under a new number and keep this one for
// decoding until every delivery that was written with it has expired.
//
//go:embed dictionary.txt
var dictionary []byte

const dictionaryID = 1

// compressor packs documents. It is safe for concurrent use.
type compressor struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCompressor() (*compressor, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderDictRaw(dictionaryID, dictionary), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make the compressor: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderDictRaw(dictionaryID, dictionary), zstd.WithDecoderConcurrency(2),
		zstd.WithDecoderMaxMemory(2*events.MaxLogBytes), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make the decompressor: %w", err)
	}
	return &compressor{encoder: encoder, decoder: decoder}, nil
}

// documentBytes is how large an item's document is when it is unpacked; 0 if that cannot be known.
func (i item) documentBytes() int64 {
	if i.has(attrObject) {
		n, _ := i.number(attrSize)
		return n
	}
	var h zstd.Header
	b, ok := i[attrDocument].(*types.AttributeValueMemberB)
	if !ok || h.Decode(b.Value) != nil || !h.HasFCS {
		return 0
	}
	return int64(h.FrameContentSize)
}

func (c *compressor) pack(document []byte) []byte { return c.encoder.EncodeAll(document, nil) }

func (c *compressor) unpack(packed []byte) ([]byte, error) {
	document, err := c.decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress a stored document: %w", err)
	}
	return document, nil
}
