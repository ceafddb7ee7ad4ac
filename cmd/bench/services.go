package main

import (
	"context"
	"crypto/md5" //nolint:gosec // SQS's checksum of bodies
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/vault"
)

// value is an attribute in DynamoDB's JSON; row is an item.
type (
	value map[string]any
	row   map[string]value
)

// services is as much of SQS, DynamoDB, EventBridge and KMS as the functions call. Its own time does not count.
type services struct {
	settings string // of the one destination
	kind     string
	sealed   directory.Sealed // its credentials
	// due is how many deliveries the due index holds, evenly over its shards; backlog how many the destination has.
	due, backlog int

	mu       sync.Mutex
	items    map[string]row
	hints    []string // bodies of the retry queue
	incoming []string // bodies for the plain loop
	received int
	deleted  int
	passed   func(deleted int)
	// announced counts the events on the bus, recorded the failed events that were put.
	announced, recorded int
}

// dataKey seals the credentials of the one destination.
var dataKey [32]byte

// keys give that data key, unwrapped.
type keys struct{}

func (keys) DataKey(_ context.Context, id string) (vault.DataKey, error) {
	return vault.DataKey{ID: id, Wrapped: dataKey[:]}, nil
}

func (keys) AddDataKey(context.Context, vault.DataKey) error { return nil }

func (keys) NewKey(context.Context, string) (plain, wrapped []byte, err error) {
	return dataKey[:], dataKey[:], nil
}

func (keys) Unwrap(context.Context, string, []byte) ([]byte, error) { return dataKey[:], nil }

// seal gives the destination its credentials.
func (s *services) seal() {
	credentials := `{"bearer":"test"}`
	if s.kind == "s3" {
		credentials = `{"access_key_id":"test","secret_access_key":"test"}`
	}
	v := vault.Vault{Keys: keys{}, Wrapper: keys{}, Now: time.Now}
	var err error
	if s.sealed, err = v.Seal(context.Background(), directory.Destination{ID: "d1", WorkspaceID: "w1"}, json.RawMessage(credentials)); err != nil {
		panic("bench: " + err.Error())
	}
}

// A call takes from shortest to longest, as calls of these services do within a region, evenly drawn. The SDK drops messages of a queue that answers in
// less than a millisecond.
const (
	shortest = 4 * time.Millisecond
	longest  = 20 * time.Millisecond
)

// latency is how long the call of that number takes, the same in each run.
func latency(call int64) time.Duration {
	return shortest + time.Duration(rand.New(rand.NewPCG(1, uint64(call))).Int64N(int64(longest-shortest)))
}

// late has a service answer after its latency.
func late(calls *atomic.Int64, service http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(latency(calls.Add(1)))
		service.ServeHTTP(w, r)
	})
}

// ServeHTTP answers a call of the SDK.
func (s *services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := s.answer(operation, body)
	status := http.StatusOK
	if err != nil {
		status, answer = http.StatusBadRequest, map[string]string{"__type": "ValidationException", "message": err.Error()}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		panic("bench: an answer is no JSON: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10)) // DynamoDB's, which its client checks
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func (s *services) answer(operation string, body []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch operation {
	case "SendMessageBatch":
		return s.send(body)
	case "ReceiveMessage":
		return s.receive(), nil
	case "DeleteMessageBatch":
		return s.delete(body)
	case "BatchWriteItem":
		return s.write(body)
	case "BatchGetItem":
		return s.read(body)
	case "Query":
		return s.query(body)
	case "GetItem":
		return s.get(body)
	case "UpdateItem":
		return map[string]any{"Attributes": row{"u": {"N": "1"}}}, nil
	case "PutItem":
		s.recorded++
		return struct{}{}, nil
	case "TransactWriteItems": // a change of health, which leaves the destination as it is
		return struct{}{}, nil
	case "PutEvents":
		return s.announce(body)
	case "Decrypt":
		return map[string]any{"Plaintext": dataKey[:]}, nil
	}
	return nil, fmt.Errorf("no operation %s", operation)
}

func checksum(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // SQS's checksum of bodies
	return hex.EncodeToString(sum[:])
}

func (s *services) send(body []byte) (any, error) {
	var in struct {
		Entries []struct{ Id, MessageBody string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read the entries: %w", err)
	}
	var taken []map[string]string
	for _, e := range in.Entries {
		s.hints = append(s.hints, e.MessageBody)
		taken = append(taken, map[string]string{"Id": e.Id, "MessageId": "m", "MD5OfMessageBody": checksum(e.MessageBody)})
	}
	return map[string]any{"Successful": taken}, nil
}

func (s *services) announce(body []byte) (any, error) {
	var in struct{ Entries []struct{ Detail string } }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	taken := make([]map[string]string, len(in.Entries))
	for i := range taken {
		taken[i] = map[string]string{"EventId": "e"}
	}
	s.announced += len(taken)
	return map[string]any{"Entries": taken}, nil
}

func (s *services) receive() any {
	var messages []map[string]string
	for range 10 {
		if s.received == len(s.incoming) {
			break
		}
		b := s.incoming[s.received]
		s.received++
		id := strconv.Itoa(s.received)
		messages = append(messages, map[string]string{"MessageId": id, "ReceiptHandle": id, "Body": b, "MD5OfBody": checksum(b)})
	}
	if len(messages) == 0 { // the loop has deleted the last before it asks again
		s.passed(len(s.incoming))
	}
	return map[string]any{"Messages": messages}
}

func (s *services) delete(body []byte) (any, error) {
	var in struct{ Entries []struct{ Id string } }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read the entries: %w", err)
	}
	if s.deleted += len(in.Entries); s.deleted < len(s.incoming) {
		s.passed(s.deleted)
	}
	return map[string]any{"Successful": in.Entries}, nil
}

func place(key row) string { return fmt.Sprint(key["pk"]["S"], " ", key["sk"]["S"]) }

func (s *services) write(body []byte) (any, error) {
	var in struct {
		RequestItems map[string][]struct {
			PutRequest    *struct{ Item row }
			DeleteRequest *struct{ Key row }
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read the items: %w", err)
	}
	for _, requests := range in.RequestItems {
		for _, r := range requests {
			if r.PutRequest != nil {
				s.items[place(r.PutRequest.Item)] = r.PutRequest.Item
			} else {
				delete(s.items, place(r.DeleteRequest.Key))
			}
		}
	}
	return struct{}{}, nil
}

func (s *services) read(body []byte) (any, error) {
	var in struct {
		RequestItems map[string]struct{ Keys []row }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	responses := make(map[string][]row)
	for table, keys := range in.RequestItems {
		for _, k := range keys.Keys {
			if found, ok := s.items[place(k)]; ok {
				responses[table] = append(responses[table], found)
			}
		}
	}
	return map[string]any{"Responses": responses}, nil
}

// destination is the record of the one destination; it stays healthy whatever is written.
func (s *services) destination(draining bool) row {
	d := row{"pk": {"S": "D#d1"}, "workspace_id": {"S": "w1"}, "version": {"N": "1"}, "revision": {"N": "1"}, "kind": {"S": s.kind},
		"state": {"S": "connected"}, "health": {"S": "healthy"}, "settings": {"S": s.settings}, "credentials": {"B": s.sealed}}
	if draining {
		d["draining"], d["opened_at"] = value{"BOOL": true}, value{"N": "1790700000000"}
	}
	return d
}

func (s *services) get(body []byte) (any, error) {
	var in struct{ Key row }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if strings.HasPrefix(fmt.Sprint(in.Key["pk"]["S"]), "K#") {
		return map[string]any{"Item": row{"pk": in.Key["pk"], "wrapped": {"B": dataKey[:]}, "at": {"N": "0"}}}, nil
	}
	if in.Key["pk"]["S"] == "D#d1" {
		return map[string]any{"Item": s.destination(s.backlog > 0)}, nil
	}
	return struct{}{}, nil
}

// duePage is how many entries a query of the index gives, fewer than DynamoDB's 1 MB.
const (
	duePage   = 1000
	dueShards = 32
)

func (s *services) query(body []byte) (any, error) {
	var in struct {
		IndexName                 string
		Limit                     int
		ExclusiveStartKey         row
		ExpressionAttributeValues row
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read the query: %w", err)
	}
	switch in.IndexName {
	case "owner":
		return map[string]any{"Items": []row{{"pk": {"S": "W#w1"}, "workspace_id": {"S": "w1"}, "kind": {"S": "standalone"}}, s.destination(false)}}, nil
	case "due":
		return s.dueItems(in.ExpressionAttributeValues, in.ExclusiveStartKey)
	case "":
		return s.backlogItems(in.ExpressionAttributeValues, in.Limit)
	}
	return map[string]any{"Items": []row{}}, nil // nothing needs attention
}

func (s *services) dueItems(values, after row) (any, error) {
	to, err := strconv.ParseInt(fmt.Sprint(values[":to"]["N"]), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read the query's end: %w", err)
	}
	from := 0
	if after != nil {
		if from, err = strconv.Atoi(fmt.Sprint(after["sk"]["S"])); err != nil {
			return nil, fmt.Errorf("read where to go on: %w", err)
		}
	}
	end := min(from+duePage, s.due/dueShards)
	items := make([]row, 0, duePage)
	for i := from; i < end; i++ {
		items = append(items, row{"pk": {"S": "D#d1#0"}, "sk": {"S": fmt.Sprintf("%013d#w1#log-%v-%d", to-60_000, values[":shard"]["N"], i)},
			"du": {"N": strconv.FormatInt(to-1000, 10)}, "ds": values[":shard"]})
	}
	out := map[string]any{"Items": items}
	if end < s.due/dueShards {
		out["LastEvaluatedKey"] = row{"pk": {"S": "D#d1#0"}, "sk": {"S": strconv.Itoa(end)}}
	}
	return out, nil
}

// backlogItems are the deliveries of one of the destination's partitions, a millisecond apart.
func (s *services) backlogItems(values row, limit int) (any, error) {
	const first, writeShards = 1_790_000_000_000, 8
	from := 0
	if after := fmt.Sprint(values[":after"]["S"]); values[":after"] != nil {
		at, err := strconv.Atoi(strings.SplitN(after, "#", 2)[0])
		if err != nil {
			return nil, fmt.Errorf("read where to go on: %w", err)
		}
		from = at - first + 1
	}
	pk := fmt.Sprint(values[":pk"]["S"])
	shard, err := strconv.Atoi(pk[len(pk)-1:])
	if err != nil {
		return nil, fmt.Errorf("read the partition: %w", err)
	}
	items := make([]row, 0, limit)
	for i := from; i < s.backlog && len(items) < limit; i++ {
		if i%writeShards == shard {
			items = append(items, row{"pk": {"S": pk}, "sk": {"S": fmt.Sprintf("%013d#w1#log-%d", first+i, i)}, "n": {"N": "0"}, "r": {"N": "1"},
				"t": {"S": "user_activity"}, "du": {"N": "1790604800000"}, "pd": {"BOOL": true}})
		}
	}
	return map[string]any{"Items": items}, nil
}
