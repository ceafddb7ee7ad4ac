// Package memory holds every port of the core in memory: the stores, the queues and the journal. It is faithful to what the services do,
// visibility time-outs, delays, duplicates and late TTL included, and each call can be made to fail before or after it took effect.
// The local runner, the simulator and the tests use it. Everything in it is safe for concurrent use.
package memory

import "errors"

// Fault is what a hook does to one call.
type Fault int

const (
	// OK lets the call through.
	OK Fault = iota
	// FailBefore makes the call fail without effect.
	FailBefore
	// FailAfter lets the call take effect and then tells the caller that it failed.
	FailAfter
)

// Hook is asked at each call that goes over the network in a deployment, with the call's name: "cache.save", "retry.send" and so on, see Calls.
// A batch call asks once for each of its items. A nil hook lets everything through.
type Hook func(call string) Fault

// The calls that hooks can make fail.
const (
	CallLoad         = "cache.load"
	CallSave         = "cache.save"
	CallRemove       = "cache.remove"
	CallGiveUp       = "cache.give_up"
	CallRecord       = "cache.record"
	CallDue          = "index.due"
	CallProgress     = "index.progress"
	CallSaveProgress = "index.save_progress"
	CallSendHint     = "retry.send"
	CallReject       = "rejected.send"
	CallAck          = "queue.ack"
	CallHide         = "queue.hide"
	CallWorkspace    = "directory.workspace"
	CallDestination  = "directory.destination"

	CallPutWorkspace   = "directory.put_workspace"
	CallPutDestination = "directory.put_destination"
	CallAttention      = "directory.attention"
	CallWrittenSince   = "directory.written_since"
	CallKeep           = "outbox.keep"
	CallOutgoing       = "outbox.list"
	CallTold           = "outbox.told"
	CallReserve        = "budget.reserve"
	CallNotify         = "notices.send"
	CallStartDrain     = "drain.send"
	CallWaiting        = "cache.waiting"
	CallDrainState     = "drain.state"
	CallSaveDrainState = "drain.save_state"
	CallTurns          = "turns.state"
	CallSaveTurns      = "turns.save_state"
	CallReceipts       = "receipts.look"
	CallKeepReceipts   = "receipts.keep"
	CallReadPayload    = "payloads.read"
	CallDeletePayload  = "payloads.delete"

	CallSetTimer    = "timers.set"
	CallCancelTimer = "timers.cancel"
	CallClaim       = "claims.claim"
	CallSaveClaim   = "claims.save"
	CallMail        = "mail.send"
	CallSendLog     = "ingest.send"
	CallPublish     = "bus.publish"

	CallDataKey    = "keys.read"
	CallAddDataKey = "keys.add"
	CallWrapKey    = "kms.wrap"
	CallUnwrapKey  = "kms.unwrap"
)

// Calls lists every call that hooks can make fail.
func Calls() []string {
	return []string{CallLoad, CallSave, CallRemove, CallGiveUp, CallRecord, CallDue, CallProgress, CallSaveProgress, CallSendHint, CallReject,
		CallAck, CallHide, CallWorkspace, CallDestination, CallPutWorkspace, CallPutDestination, CallAttention, CallWrittenSince, CallKeep, CallOutgoing, CallTold, CallReserve, CallNotify, CallStartDrain, CallWaiting,
		CallDrainState, CallSaveDrainState, CallTurns, CallSaveTurns, CallReceipts, CallKeepReceipts, CallReadPayload, CallDeletePayload, CallSetTimer, CallCancelTimer, CallClaim, CallSaveClaim, CallMail, CallSendLog, CallPublish,
		CallDataKey, CallAddDataKey, CallWrapKey, CallUnwrapKey}
}

// ErrInjected is what a call fails with when its hook says so.
var ErrInjected = errors.New("injected fault")

// Do runs an effect under the hook, for ports that are made of several of this package's.
func (h Hook) Do(call string, effect func() error) error { return h.do(call, effect) }

// do runs effect under the hook.
func (h Hook) do(call string, effect func() error) error {
	fault := OK
	if h != nil {
		fault = h(call)
	}
	if fault == FailBefore {
		return ErrInjected
	}
	err := effect()
	if fault == FailAfter && err == nil {
		return ErrInjected
	}
	return err
}
