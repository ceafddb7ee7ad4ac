package simulate

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// kinds is how many different logs there are. A log is one of them by its number.
const kinds = 32

// samples makes logs, and knows how large each is in the table.
type samples struct {
	bodies     [kinds][2][]byte // the message before and after the ids
	documents  [kinds][]byte
	bytes      [kinds]int
	meanBytes  int
	indexBytes int
}

// logTime is when every sample occurred.
const logTime = "2026-11-02T08:59:58Z"

// newSamples makes user activities of 1 to 2 KiB with what differs from log to log in practice: names, addresses, agents, texts.
func newSamples(seed uint64) (*samples, error) {
	sizer, err := dynamo.NewSizer()
	if err != nil {
		return nil, err
	}
	s := &samples{}
	r := rand.New(rand.NewPCG(seed, 1))
	for k := range kinds {
		payload, err := json.Marshal(activity(r, 1024+r.IntN(1024)))
		if err != nil {
			return nil, fmt.Errorf("make a sample: %w", err)
		}
		s.bodies[k][0] = []byte(`{"id":"`)
		s.bodies[k][1] = slices.Concat([]byte(`","type":"user_activity","occurred_at":"`+logTime+`","payload":`), payload, []byte("}"))
		log, err := auditlog.Decode(s.message(logID(k), workspaceID(k)))
		if err != nil {
			return nil, err
		}
		doc, err := auditlog.Prepare(log)
		if err != nil {
			return nil, err
		}
		at := time.UnixMilli(1793611800123).UTC()
		key := delivery.Key{DestinationID: destinationID(k), WorkspaceID: workspaceID(k), LogID: doc.ID, AcceptedAt: at, Hash: doc.Hash()}
		d := delivery.Delivery{Key: key, Attempts: 1, NextAt: at, Code: "net.timeout", Riding: true, Document: doc}
		s.documents[k] = doc.JSON
		s.bytes[k], s.indexBytes = sizer.Delivery(d)
		s.meanBytes += s.bytes[k] / kinds
	}
	return s, nil
}

// activity is a user activity of about size bytes.
func activity(r *rand.Rand, size int) map[string]any {
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(36)]
		}
		return string(b)
	}
	var words []string
	for n := 0; n < size-700; n += 9 {
		words = append(words, vocabulary[r.IntN(len(vocabulary))])
	}
	return map[string]any{
		"event":     "recipe_updated",
		"timestamp": logTime,
		"user":      map[string]any{"id": r.IntN(1e6), "name": word(6) + " " + word(8), "email": word(8) + "@" + word(7) + ".example"},
		"workspace": map[string]any{"id": r.IntN(1e6), "name": word(12), "email": word(8) + "@" + word(7) + ".example"},
		"resource":  map[string]any{"type": "recipe", "id": r.IntN(1e7), "name": word(20)},
		"details": map[string]any{
			"request":  map[string]any{"ip_address": fmt.Sprintf("%d.%d.%d.%d", r.IntN(223), r.IntN(256), r.IntN(256), r.IntN(256)), "user_agent": "Mozilla/5.0 (" + word(16) + ")", "id": word(32)},
			"activity": words,
		},
	}
}

var vocabulary = [...]string{"settings", "schedule", "connection", "folder", "created", "previous", "version", "approval", "payload", "trigger", "account",
	"customer", "invoice", "order", "response", "manager", "region", "project", "deployed", "permission", "quarterly", "Salesforce", "Workday", "NetSuite"}

func logID(number int) string      { return "log-" + strconv.Itoa(number) }
func workspaceID(i int) string     { return "ws-" + strconv.Itoa(i) }
func destinationID(i int) string   { return "d" + workspaceID(i) }
func workspaceOf(id string) string { return id[1:] }
func destinationOf(id string) int  { n, _ := strconv.Atoi(id[len("dws-"):]); return n }
func numberOf(logID string) int    { n, _ := strconv.Atoi(logID[len("log-"):]); return n }

// message is the ingest message of a log.
func (s *samples) message(id, workspace string) []byte {
	b := s.bodies[numberOf(id)%kinds]
	return slices.Concat(b[0], []byte(id), []byte(`","workspace_id":"`), []byte(workspace), b[1])
}

func (s *samples) document(logID string) []byte { return s.documents[numberOf(logID)%kinds] }
func (s *samples) itemBytes(logID string) int   { return s.bytes[numberOf(logID)%kinds] }

// chance is a number from 0 to 1 that depends on nothing but its arguments, so that no order of events changes it.
func chance(seed uint64, a, b int) float64 {
	x := seed ^ uint64(a)*0x9e3779b97f4a7c15 ^ uint64(b)*0xc2b2ae3d27d4eb4f
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// healthyLatency is how long a healthy destination takes for a request: lognormal around 60 ms, p99 at about 250 ms.
func healthyLatency(seed uint64, log, attempt int) time.Duration {
	u, v := 1-chance(seed, log, 2*attempt), chance(seed, log, 2*attempt+1)
	normal := math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
	return time.Duration(60 * float64(time.Millisecond) * math.Exp(0.6*normal)).Truncate(time.Microsecond)
}
