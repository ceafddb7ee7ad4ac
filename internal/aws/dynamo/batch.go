package dynamo

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	writesACall = 25
	readsACall  = 100
	// triesOfABatch and firstPause bound how long items are offered again that the service left out, as it does when a partition is throttled:
	// ten pauses of 25 ms, doubled up to a second, about six seconds.
	triesOfABatch = 11
	firstPause    = 25 * time.Millisecond
	longestPause  = time.Second
)

var errLeftOut = errors.New("the table is throttled: it left the item out again and again")

// pause waits before the given repetition of a call for an item, or until ctx ends. A hash of the two makes it from half to the whole of its length, so
// that calls which were throttled together do not come back together.
func pause(ctx context.Context, repetition int, key string) error {
	length := min(firstPause<<repetition, longestPause)
	h := fnv.New64a()
	h.Write([]byte(key + " " + strconv.Itoa(repetition)))
	length = length/2 + time.Duration(h.Sum64()%uint64(length/2))
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the throttled table: %w", context.Cause(ctx))
	}
}

// writeAll does puts and deletes of different keys and answers for each.
func (c *Cache) writeAll(ctx context.Context, requests []types.WriteRequest) []error {
	errs := make([]error, len(requests))
	chunks := slices.Collect(slices.Chunk(requests, writesACall))
	each(len(chunks), func(i int) {
		copy(errs[i*writesACall:], c.writeChunk(ctx, chunks[i]))
	})
	return errs
}

func (c *Cache) writeChunk(ctx context.Context, requests []types.WriteRequest) []error {
	errs := make([]error, len(requests))
	left := requests
	var err error
	for try := range triesOfABatch {
		if try > 0 {
			if err = pause(ctx, try-1, requestKey(left[0])); err != nil {
				break
			}
		}
		var out *dynamodb.BatchWriteItemOutput
		out, err = c.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{c.table: left}})
		if err != nil {
			break
		}
		if left = out.UnprocessedItems[c.table]; len(left) == 0 {
			return errs
		}
		err = errLeftOut
	}
	open := make(map[string]bool, len(left))
	for _, r := range left {
		open[requestKey(r)] = true
	}
	for i, r := range requests {
		if open[requestKey(r)] {
			errs[i] = fmt.Errorf("write a batch of %d deliveries: %w", len(left), err)
		}
	}
	return errs
}

// requestKey names the item that a request writes.
func requestKey(r types.WriteRequest) string {
	i := item{}
	if r.PutRequest != nil {
		i = r.PutRequest.Item
	} else if r.DeleteRequest != nil {
		i = r.DeleteRequest.Key
	}
	return itemKey(i)
}

func itemKey(i item) string { return i.text(attrPK) + " " + i.text(attrSK) }

// readAll gives those items of different keys that the table holds, as of now if consistent, else of a moment ago.
func readAll(ctx context.Context, client Client, table string, keys []item, consistent bool) ([]item, error) {
	chunks := slices.Collect(slices.Chunk(keys, readsACall))
	found := make([][]item, len(chunks))
	errs := make([]error, len(chunks))
	each(len(chunks), func(i int) { found[i], errs[i] = readChunk(ctx, client, table, chunks[i], consistent) })
	return slices.Concat(found...), errors.Join(errs...)
}

func readChunk(ctx context.Context, client Client, table string, keys []item, consistent bool) ([]item, error) {
	left := types.KeysAndAttributes{ConsistentRead: aws.Bool(consistent)}
	for _, k := range keys {
		left.Keys = append(left.Keys, k)
	}
	var found []item
	for try := range triesOfABatch {
		if try > 0 {
			if err := pause(ctx, try-1, itemKey(left.Keys[0])); err != nil {
				return nil, err
			}
		}
		out, err := client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: left}})
		if err != nil {
			return nil, fmt.Errorf("get a batch of %d items: %w", len(left.Keys), err)
		}
		for _, i := range out.Responses[table] {
			found = append(found, i)
		}
		if left = out.UnprocessedKeys[table]; len(left.Keys) == 0 {
			return found, nil
		}
	}
	return nil, errLeftOut
}
