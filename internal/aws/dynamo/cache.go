package dynamo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Objects holds the documents that are too large for the table.
type Objects interface {
	// Put stores an object; when it returns, the object is durable.
	Put(ctx context.Context, key string, body []byte) error
	// Get reads an object. One that is not there gives an error that is fs.ErrNotExist.
	Get(ctx context.Context, key string) ([]byte, error)
	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Cache is the deliveries table. It implements delivery.Cache, delivery.FailedEvents, delivery.FailedRecorder and delivery.Index, and is safe
// for concurrent use.
//
// A delivery's document never changes, so only a delivery that enters the cache is written whole; afterwards its few other attributes are.
type Cache struct {
	client  Client
	table   string
	objects Objects
	pack    *compressor
	// room bounds what is being written, see writeRoom.
	room *semaphore.Weighted
}

const (
	// writeRoom is how many bytes the deliveries that are being written may take, all calls of Save together: each destination's are saved beside the
	// others', and one log can have many destinations that fail.
	writeRoom = 64 << 20
	// copies is how often a document in a call of the table's is held: compressed, in base64, and in the call's body.
	copies = 4
)

// weight is how much of the room a delivery takes while it is written. A document that goes to the bucket is held once.
func weight(d delivery.Delivery) int64 {
	if n := int64(len(d.Document.JSON)); n > copies*maxDocument {
		return n
	}
	return copies * int64(len(d.Document.JSON))
}

// NewCache opens the table of that name.
func NewCache(client Client, table string, objects Objects) (*Cache, error) {
	pack, err := newCompressor()
	if err != nil {
		return nil, err
	}
	return &Cache{client: client, table: table, objects: objects, pack: pack, room: semaphore.NewWeighted(writeRoom)}, nil
}

// callsAtOnce bounds the calls to the service that one operation has under way.
const callsAtOnce = 16

// each does a piece of work for 0 to n-1, a bounded number at the same time.
func each(n int, do func(i int)) { beside(callsAtOnce, n, do) }

// beside does a piece of work for 0 to n-1, that many at the same time.
func beside(atOnce, n int, do func(i int)) {
	if n == 1 {
		do(0)
		return
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = group.Wait() // no piece of work fails the group
}

// Load implements delivery.Cache. A delivery whose object is gone counts as gone: it was removed between the two reads.
func (c *Cache) Load(ctx context.Context, keys []delivery.Key) (found map[delivery.Key]delivery.Delivery, rest []delivery.Key, err error) {
	wanted := make(map[delivery.Key]bool, len(keys))
	var rows []item
	for _, k := range keys {
		if !wanted[k] {
			wanted[k] = true
			rows = append(rows, deliveryKey(k))
		}
	}
	items, err := readAll(ctx, c.client, c.table, rows, true)
	if err != nil {
		return nil, nil, fmt.Errorf("read deliveries: %w", err)
	}
	items, rest, err = fitting(items)
	if err != nil {
		return nil, nil, err
	}
	deliveries := make([]delivery.Delivery, len(items))
	errs := make([]error, len(items))
	each(len(items), func(i int) { deliveries[i], errs[i] = c.unpack(ctx, items[i]) })
	found = make(map[delivery.Key]delivery.Delivery, len(items))
	for i, d := range deliveries {
		if errors.Is(errs[i], fs.ErrNotExist) {
			continue
		}
		if errs[i] != nil {
			return nil, nil, errs[i]
		}
		found[d.Key] = d
	}
	return found, rest, nil
}

// fitting keeps as many items as there is room for their documents, at least one, and names the rest.
func fitting(items []item) (fit []item, rest []delivery.Key, err error) {
	room := int64(delivery.LoadRoom)
	for _, i := range items {
		if room -= i.documentBytes(); room >= 0 || len(fit) == 0 {
			fit = append(fit, i)
			continue
		}
		k, err := parseKey(i.text(attrPK), i.text(attrSK))
		if err != nil {
			return nil, nil, err
		}
		rest = append(rest, k)
	}
	return fit, rest, nil
}

// unpack makes an item a delivery with its document.
func (c *Cache) unpack(ctx context.Context, i item) (delivery.Delivery, error) {
	d, err := parseDelivery(i)
	if err != nil {
		return d, err
	}
	packed, err := c.packed(ctx, i)
	if err != nil {
		return d, fmt.Errorf("read the document of log %s: %w", d.LogID, err)
	}
	if d.Document.JSON, err = c.pack.unpack(packed); err != nil {
		return d, fmt.Errorf("log %s: %w", d.LogID, err)
	}
	return d, nil
}

func (c *Cache) packed(ctx context.Context, i item) ([]byte, error) {
	if key := i.text(attrObject); key != "" {
		return c.objects.Get(ctx, key)
	}
	b, ok := i[attrDocument].(*types.AttributeValueMemberB)
	if !ok {
		return nil, errors.New("the item has neither a document nor an object")
	}
	return b.Value, nil
}

// Save implements delivery.Cache. New deliveries go 25 a call, the others one a call, since only that can be conditional.
func (c *Cache) Save(ctx context.Context, ds []delivery.Delivery) []error {
	errs := make([]error, len(ds))
	var fresh, moved []int
	for i, d := range ds {
		if d.Revision == 0 {
			fresh = append(fresh, i)
		} else {
			moved = append(moved, i)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { c.create(ctx, ds, fresh, errs) })
	wg.Go(func() {
		each(len(moved), func(i int) { errs[moved[i]] = c.update(ctx, ds[moved[i]]) })
	})
	wg.Wait()
	return errs
}

// create writes the deliveries at the given places of ds. Of two with the same key the later one stands, as if written one after the other.
func (c *Cache) create(ctx context.Context, ds []delivery.Delivery, places []int, errs []error) {
	last := make(map[delivery.Key]int, len(places))
	for _, i := range places {
		last[ds[i].Key] = i
	}
	var write []int
	for _, i := range places {
		if last[ds[i].Key] == i {
			write = append(write, i)
		}
	}
	for _, part := range fittingRoom(ds, write) {
		c.createPart(ctx, ds, part, errs)
	}
	for _, i := range places {
		errs[i] = errs[last[ds[i].Key]]
	}
}

// fittingRoom cuts places of ds into parts that the room can hold at once, each of at least one.
func fittingRoom(ds []delivery.Delivery, places []int) (parts [][]int) {
	begin, sum := 0, int64(0)
	for j, i := range places {
		w := weight(ds[i])
		if j > begin && sum+w > writeRoom {
			parts = append(parts, places[begin:j])
			begin, sum = j, 0
		}
		sum += w
	}
	if begin < len(places) {
		parts = append(parts, places[begin:])
	}
	return parts
}

// createPart writes the deliveries at the given places of ds, once there is room for them.
func (c *Cache) createPart(ctx context.Context, ds []delivery.Delivery, write []int, errs []error) {
	var need int64
	for _, i := range write {
		need += weight(ds[i])
	}
	need = min(need, writeRoom)
	if err := c.room.Acquire(ctx, need); err != nil {
		for _, i := range write {
			errs[i] = fmt.Errorf("wait to write %d deliveries: %w", len(write), err)
		}
		return
	}
	defer c.room.Release(need)
	items := make([]item, len(write))
	each(len(write), func(j int) { items[j], errs[write[j]] = c.packUp(ctx, ds[write[j]]) })
	var requests []types.WriteRequest
	var sent []int
	for j, i := range write {
		if errs[i] == nil {
			requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: items[j]}})
			sent = append(sent, i)
		}
	}
	for j, err := range c.writeAll(ctx, requests) {
		errs[sent[j]] = err
	}
}

func (c *Cache) packUp(ctx context.Context, d delivery.Delivery) (item, error) {
	i := deliveryItem(d)
	packed := c.pack.pack(d.Document.JSON)
	if len(packed) <= maxDocument {
		i[attrDocument] = &types.AttributeValueMemberB{Value: packed}
		return i, nil
	}
	key := objectKey(d.Key)
	if err := c.objects.Put(ctx, key, packed); err != nil {
		return nil, fmt.Errorf("store the document of log %s: %w", d.LogID, err)
	}
	i[attrObject], i[attrSize] = text(key), number(len(d.Document.JSON))
	return i, nil
}

// update moves a delivery on.
func (c *Cache) update(ctx context.Context, d delivery.Delivery) error {
	set, remove := "SET n = :attempts, tr = :tried, fg = :forgiven, c = :code, du = :due, r = :next", ""
	values := item{
		":attempts": number(d.Attempts),
		":tried":    number(millis(d.Tried)),
		":forgiven": number(d.Forgiven),
		":code":     text(string(d.Code)),
		":due":      number(millis(d.NextAt)),
		":revision": number(d.Revision),
		":next":     number(d.Revision + 1),
	}
	for _, mark := range []struct {
		name string
		on   bool
	}{{attrRiding, d.Riding}, {attrParked, d.Parked}} {
		if mark.on {
			set += ", " + mark.name + " = :yes"
			values[":yes"] = &types.AttributeValueMemberBOOL{Value: true}
		} else {
			remove += ", " + mark.name
		}
	}
	if remove != "" {
		set += " REMOVE " + remove[len(", "):]
	}
	_, err := c.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &c.table,
		Key:                       deliveryKey(d.Key),
		UpdateExpression:          &set,
		ConditionExpression:       aws.String("r = :revision"),
		ExpressionAttributeValues: values,
	})
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return delivery.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("update a delivery: %w", err)
	}
	return nil
}

// Remove implements delivery.Cache. A document outside the table is removed by Stream, which sees every removal, by whichever way.
func (c *Cache) Remove(ctx context.Context, keys []delivery.Key) []error {
	place := make(map[delivery.Key]int, len(keys))
	var requests []types.WriteRequest
	for _, k := range keys {
		if _, ok := place[k]; !ok {
			place[k] = len(requests)
			requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: deliveryKey(k)}})
		}
	}
	outcome := c.writeAll(ctx, requests)
	errs := make([]error, len(keys))
	for i, k := range keys {
		errs[i] = outcome[place[k]]
	}
	return errs
}
