package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// variant is one program under one kind of work.
type variant struct {
	name string
	// binary is the program: a function's name, or empty for the baseline named by role.
	binary, role string
	kind         string // of the destination
	settings     string // of the destination; %s is the receiver
	status       int    // of the receiver's answers
	work         work
	batch        int // logs a request, for syslog-ng
}

type work int

const (
	fresh     work = iota // logs from the ingest queue
	pulled                // the same, pulled by the plain loop
	retried               // hints that lead to the cache
	dueWork               // a run of requeue with this many due deliveries
	drainRun              // the largest page of a drain
	announced             // records of the stream: failed events
	removed               // records of the stream: deliveries that TTL removed
)

const (
	single = `{"url":"%s","concurrency":8}`
	ndjson = `{"url":"%s","concurrency":8,"format":"ndjson","max_batch":100}`
)

// variants are in the order of running; cache fills what retry empties.
func variants() []variant {
	ok := 200
	return append(ours(ok), syslogNGVariants()...)
}

func ours(ok int) []variant {
	return []variant{
		{name: "aws-lambda-go, no-op handler", role: roleNoop, status: ok},
		{name: "aws-lambda-go, one POST a log", role: rolePost, status: ok},
		{name: "SDK loop: receive 10, POST each, delete 10", role: roleLoop, status: ok, work: pulled},
		{name: nameSingle, binary: "deliver", kind: "http", settings: single, status: ok},
		{name: nameBatched, binary: "deliver", kind: "http", settings: ndjson, status: ok},
		{name: "auditrelay, S3, one object a log", binary: "deliver", kind: "s3", settings: `{"bucket":"logs","endpoint":"%s"}`, status: ok},
		{name: "auditrelay, HTTP answers 503: attempted, hint sent, cached", binary: "deliver", kind: "http", settings: single, status: 503},
		{name: "auditrelay, retries: loaded, one POST a log, removed", binary: "deliver", kind: "http", settings: single, status: ok, work: retried},
		{name: nameRequeue, binary: "requeue", kind: "http", settings: single, work: dueWork},
		{name: "auditrelay, drain page: listed, hints sent", binary: "requeue", kind: "http", settings: single, work: drainRun},
		{name: "auditrelay, expire: failed events announced", binary: "expire", kind: "http", settings: single, work: announced},
		{name: "auditrelay, expire: removed by TTL, recorded", binary: "expire", kind: "http", settings: single, work: removed},
	}
}

const (
	nameSingle  = "auditrelay, one POST a log"
	nameBatched = "auditrelay, 100 logs a POST (NDJSON)"
	nameRequeue = "auditrelay, requeue: found due, hints sent"
	namePost    = "aws-lambda-go, one POST a log"
)

// batchSize is how many messages an event holds, as in the stack; warmUp how many events are not measured.
const (
	batchSize = 100
	warmUp    = 5
	// streamBatch is how many records of the stream an event holds, as in the stack.
	streamBatch = 1000
	ingestARN   = "arn:aws:sqs:eu-central-1:000000000000:ingest"
	retryARN    = "arn:aws:sqs:eu-central-1:000000000000:retry"
	drainARN    = "arn:aws:sqs:eu-central-1:000000000000:drain"
)

// logBody is a user activity of about 1.5 KiB.
func logBody(n int) string {
	words := strings.Repeat(fmt.Sprintf("the schedule of recipe %d was changed by its owner; ", n%977), 16)
	return fmt.Sprintf(`{"id":"log-%d","workspace_id":"w1","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":`+
		`{"event":"recipe_updated","timestamp":"2026-11-02T08:59:58Z","user":{"id":%d,"name":"Ada Ampere","email":"ada%d@acme.example"},`+
		`"workspace":{"id":7,"name":"Acme","email":"ops@acme.example"},"resource":{"type":"recipe","id":%d,"name":"Orders to ledger"},`+
		`"details":{"request":{"ip_address":"192.0.2.%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"},"activity":%q}}}`, n, n%5000, n%5000, n%977, n%250, words)
}

type record struct {
	MessageID      string            `json:"messageId"`
	ReceiptHandle  string            `json:"receiptHandle"`
	Body           string            `json:"body"`
	Attributes     map[string]string `json:"attributes"`
	EventSource    string            `json:"eventSource"`
	EventSourceARN string            `json:"eventSourceARN"`
	Region         string            `json:"awsRegion"`
}

// sqsEvents packs bodies into events of size messages.
func sqsEvents(bodies []string, arn string, size int) [][]byte {
	sent := strconv.FormatInt(time.Now().UnixMilli(), 10)
	var list [][]byte
	for from := 0; from < len(bodies); from += size {
		var records []record
		for i, b := range bodies[from:min(from+size, len(bodies))] {
			id := strconv.Itoa(from + i)
			records = append(records, record{id, "handle-" + id, b, map[string]string{"SentTimestamp": sent, "ApproximateReceiveCount": "1",
				"SenderId": "AIDA", "ApproximateFirstReceiveTimestamp": sent}, "aws:sqs", arn, "eu-central-1"})
		}
		text, err := json.Marshal(map[string]any{"Records": records})
		if err != nil {
			panic("bench: strings are no JSON: " + err.Error())
		}
		list = append(list, text)
	}
	return list
}

// streamEvents packs the ends of logs into events of the stream, with images as the table has them: a document of about 1 KB, compressed.
func streamEvents(w work, from, n int) [][]byte {
	document := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("compressed"), 70))
	var list [][]byte
	for first := from; first < from+n; first += streamBatch {
		records := make([]map[string]any, 0, streamBatch)
		for i := first; i < min(first+streamBatch, from+n); i++ {
			sk := fmt.Sprintf("%013d#w1#log-%d", 1_790_000_000_000+i, i)
			key := row{"pk": {"S": fmt.Sprint("D#d1#", i%8)}, "sk": {"S": sk}}
			change := map[string]any{"SequenceNumber": strconv.Itoa(i)}
			r := map[string]any{"eventName": "REMOVE", "dynamodb": change, "userIdentity": map[string]string{"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
			image := row{"n": {"N": "8"}, "r": {"N": "9"}, "t": {"S": "user_activity"}, "c": {"S": "net.timeout"}}
			if w == announced {
				r["eventName"], key = "INSERT", row{"pk": {"S": fmt.Sprint("F#", i%32)}, "sk": {"S": "d1#" + sk}}
				image["fa"], change["NewImage"] = value{"N": "1790604801000"}, image
			} else {
				image["p"], change["OldImage"] = value{"B": document}, image
			}
			maps.Copy(image, key)
			change["Keys"] = key
			records = append(records, r)
		}
		text, err := json.Marshal(map[string]any{"Records": records})
		if err != nil {
			panic("bench: strings are no JSON: " + err.Error())
		}
		list = append(list, text)
	}
	return list
}
