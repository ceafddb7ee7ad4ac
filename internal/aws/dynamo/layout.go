// Package dynamo keeps deliveries, failed events and the directory in two DynamoDB tables.
//
// Table deliveries, with partition key pk, sort key sk, time to live ttl, and a stream of new and old images:
//
//	pk D#<destination>#<write shard>   sk <accepted>#<workspace>#<log>#<hash>                 a delivery
//	pk F#<failed shard>                sk <destination>#<accepted>#<workspace>#<log>#<hash>   a failed event
//	pk P#requeue                       sk progress                                            how far requeue has come
//	pk P#drain                         sk <identity>                                          how far the drain of a destination has come
//	pk P#turns                         sk <identity>                                          how far the turns of its parked logs have come
//	pk R#<workspace>#<log>#<hash>      sk receipt                                             where a log went, for a day
//
// Accepted is in milliseconds, 13 digits, so that a partition is in the order of acceptance, of failed events by destination. Ids hold no '#', and
// it sorts before all that they hold, so it separates. What was written when keys had no hash ends with the log.
// The index due has partition key ds, sort key du and includes rd.
//
// Table directory, with partition key pk and time to live ttl:
//
//	pk W#<id>                            a workspace
//	pk L#<id>                            its roll: the destinations that it owns
//	pk D#<id>                            a destination
//	pk C#<shard>                         how many writes of workspaces and destinations there were
//	pk C#<shard>#<number>                one of them, for a week
//	pk B#<id>#<seconds>#<start>          the attempts that a destination has had in a window of so many seconds
//	pk N#<destination>#<kind>#…          the claim of a mail (notice.claimKey)
//	pk K#<id>                            a data key of credentials, wrapped
//	pk O#<id>                            what is to be told of a change
//
// The sparse index attention has partition key attention, for destinations one of 16 shards by a hash of the id, sort key pk and projects all. The index
// owner has partition key workspace_id, sort key pk and projects all: a workspace stands there with its own destinations, so that one query routes a log.
// The sparse index listed has partition key listed, workspaces or destinations, sort key pk and includes parent_id, for lists.
package dynamo

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// The attributes. Their names are short because a write is paid by the whole item, in steps of 1 KB.
const (
	attrPK           = "pk"
	attrSK           = "sk"
	attrAttempts     = "n"
	attrCode         = "c"
	attrTried        = "tr" // milliseconds, absent before the first attempt
	attrForgiven     = "fg" // absent if 0
	attrRevision     = "r"
	attrType         = "t"
	attrDocument     = "p"  // the document, compressed; or
	attrObject       = "o"  // the key of the object that holds it
	attrSize         = "z"  // that document's bytes, uncompressed
	attrOwner        = "ow" // the destination's workspace, if it is not the log's
	attrDueShard     = "ds" // delivery.Key.DueShard
	attrDue          = "du" // milliseconds
	attrRiding       = "rd" // present or absent
	attrParked       = "pd" // present or absent
	attrFailedAt     = "fa" // milliseconds
	attrThrough      = "th" // milliseconds, one a due shard
	attrSwept        = "sw" // milliseconds
	attrSweptThrough = "st" // milliseconds, one a due shard
	attrAfterPK      = "ap" // the key after which a drain goes on: its partition key
	attrAfterSK      = "as" // and its sort key
	attrPage         = "pg"
	attrPass         = "pp"
	attrAt           = "at" // milliseconds
	attrSince        = "si" // milliseconds
	attrOpened       = "oa" // milliseconds
	attrLast         = "ll" // present or absent
	attrOpen         = "op" // present or absent
	attrUsed         = "u"  // attempts at waiting logs
	attrFresh        = "f"  // attempts at fresh ones
	attrMessage      = "m"  // the ingest message that brought a log
	attrTo           = "to" // identities of destinations
	attrTTL          = "ttl"
)

// The table's kinds of items and its index.
const (
	deliveryPrefix = "D#"
	failedPrefix   = "F#"
	progressPK     = "P#requeue"
	progressSK     = "progress"
	drainPK        = "P#drain"
	turnsPK        = "P#turns"
	budgetPrefix   = "B#"
	dueIndex       = "due"
)

// writeShards spreads one destination's deliveries over partitions. A partition takes 1,000 small writes a second, so a destination that is
// down may receive 8,000 logs a second.
const writeShards = 8

// failedShards spreads failed events over partitions, by their logs. The week's end of a destination, or of all of them, writes as many as logs came
// then, each in a transaction, which costs two write units: 32 partitions take 16,000 a second. By destination, one partition would take 500.
const failedShards = 32

const (
	// ttlSlack is how long after its expiry a delivery becomes the prey of TTL, which so does not compete with requeue.
	ttlSlack = time.Hour
	// failedKept is how long failed events can be looked up.
	failedKept = 30 * 24 * time.Hour
)

func deliveryPK(k delivery.Key) string { return shardPK(k.DestinationID, shardOfLog(k, writeShards)) }

// shardOfLog is a log's shard of so many.
func shardOfLog(k delivery.Key, shards uint32) int {
	h := fnv.New32a()
	h.Write([]byte(k.WorkspaceID))
	h.Write([]byte{0})
	h.Write([]byte(k.LogID))
	return int(h.Sum32() % shards)
}

func shardPK(destinationID string, shard int) string {
	return deliveryPrefix + destinationID + "#" + strconv.Itoa(shard)
}

func failedPK(shard int) string { return failedPrefix + strconv.Itoa(shard) }

func failedSK(k delivery.Key) string { return k.DestinationID + "#" + sortKey(k) }

func failedKey(k delivery.Key) item {
	return item{attrPK: text(failedPK(shardOfLog(k, failedShards))), attrSK: text(failedSK(k))}
}

func sortKey(k delivery.Key) string {
	sk := fmt.Sprintf("%013d#%s#%s", k.AcceptedAt.UnixMilli(), k.WorkspaceID, k.LogID)
	if k.Hash == "" {
		return sk
	}
	return sk + "#" + k.Hash
}

// parseKey reads the key of a delivery or a failed event.
func parseKey(pk, sk string) (delivery.Key, error) {
	_, rest, ok := strings.Cut(pk, "#")
	destination, _, _ := strings.Cut(rest, "#")
	if strings.HasPrefix(pk, failedPrefix) {
		destination, sk, ok = strings.Cut(sk, "#")
	}
	accepted, rest, ok2 := strings.Cut(sk, "#")
	workspace, log, ok3 := strings.Cut(rest, "#")
	log, hash, _ := strings.Cut(log, "#")
	ms, err := strconv.ParseInt(accepted, 10, 64)
	if !ok || !ok2 || !ok3 || err != nil {
		return delivery.Key{}, fmt.Errorf("item %s / %s has a malformed key", pk, sk)
	}
	return delivery.Key{DestinationID: destination, WorkspaceID: workspace, LogID: log, AcceptedAt: fromMillis(ms), Hash: hash}, nil
}

// millis is a time as an attribute holds it; 0 is the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
