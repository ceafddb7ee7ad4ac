// Package delivery is the life of a log, from the ingest queue to its destination or to a failed event seven days later.
//
// What happens, where it stands, and what a death of the process right after it means:
//
//  1. A producer's message is handed to [Deliver.Accept] (deliver.go). It stays on the queue, hidden, until it is settled.
//     Death: the message appears again after its visibility time-out. From the third time on it is a suspect, taken alone and after the others
//     are settled (suspect.go): a log that ends the process takes nobody with it.
//  2. It is decoded and prepared (package auditlog). A message that is no log goes to the rejected queue with the reason,
//     as it came or as a note, see [auditlog.Keepable].
//     Death: it is rejected once more; a person sees it twice.
//  3. It is routed (look.go, directory.Route) and becomes one [Delivery] for each destination. No destination: it is
//     counted as unrouted and done, by an answer of the directory that is younger than the log, and the owner of the
//     destinations that serve its workspace is told (unrouted.go). Messages of the batch that bring the same log, by its
//     content too, share one delivery and are settled with it (repeat.go).
//     Death: nothing was written; step 1.
//  4. The deliveries are grouped by destination and handed to their sinks (attempt.go, package sink), each group beside the others, with a time limit.
//     Death: the destination may hold the log already. It is sent again; object names and webhook ids are made of the log.
//  5. Delivered: the message is settled. Nothing was ever written to the cache. With deduplication, a receipt is kept first (receipts.go).
//     Death before the receipt: step 4 again. Death after it: the message comes again, and its log is known.
//  6. Failed: [Decide] (decide.go) reads the table in schedule.go and says when to try again. A hint is put on the retry queue if that is within
//     15 minutes, then the delivery is written to the cache, and only when that write is durable is the message settled.
//     Death before the write: step 1, and the hint finds nothing. Death after it: the message comes again, and since it was handed out
//     before, the cache is asked first and the delivery left alone.
//  7. Longer waits are the due index's: [Requeue] (requeue.go) runs every minute, looks 14 minutes ahead and sends hints with the exact delay
//     that remains. Its progress is one item, not a mark on each delivery.
//     Death: the next run starts where the saved progress ends; some hints are sent twice.
//  8. A hint leads [Deliver.Retry] to the delivery in the cache, which is the truth: a hint that does not name its next time is outdated and
//     dropped. From here a retry goes the way of step 4. Delivered: it is removed from the cache.
//     Death: the hint appears again; at worst the log is sent twice. A lost hint is found by requeue's sweep, 15 minutes late.
//  9. Seven days after acceptance the last hint leads to the end: the delivery, attempted or not, is replaced by its [FailedEvent], both or
//     neither. Only a first attempt that comes late through an outage of our own is made before.
//     Death: the hint appears again and finds the work done.
//  10. [Expire] (expire.go) follows the cache's stream and announces each failed event that was recorded, once. What the bus does not take it
//     puts into the outbox, from which requeue tells it, however long that takes: the stream forgets after a day. A delivery that the store's TTL
//     removed first gets its failed event here. Changes of different deliveries are dealt with beside each other.
//     Death: the stream hands the change out again, and others of its batch.
//
// When a whole destination is down, health.go gives it ten attempts a minute and parks the rest in the cache; fresh logs get theirs by way of the
// retry queue, so that a destination that hangs holds up no batch of others' fresh logs; watch.go looks after it every minute; and when it takes a log
// again, drain.go sends the backlog without waiting for the deliveries' own times.
//
// Every delivery that waits has somebody who looks for it: its hint and requeue's sweep if it has a time of its own; if it is parked, the watch while its
// destination fails, a reconnect while it is not connected, and otherwise a drain, see Deliver.own.
//
// Time is a value: what decides takes now, what runs has a Now function. The package does no I/O of its own; the interfaces beside their
// consumers say what the stores and queues must do.
package delivery
