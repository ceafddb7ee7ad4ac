package porttest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// RetryQueue is the retry queue under test.
type RetryQueue struct {
	delivery.RetryQueue
	// Receive hands out, and deletes, every hint that is or becomes visible within that time.
	Receive func(t *testing.T, within time.Duration) []delivery.Hint
}

// Retries is the suite of delivery.RetryQueue. Each test opens an empty queue; they run beside each other, since they wait.
func Retries(t *testing.T, open func(t *testing.T) RetryQueue) {
	for name, test := range map[string]func(*testing.T, RetryQueue){
		"hints come back":           hintsBack,
		"a delay holds a hint back": delayed,
		"delays that no queue has":  badDelays,
		"nothing to send":           func(t *testing.T, q RetryQueue) { expect(t, q.Send(t.Context(), nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func rideAt(log string, delay time.Duration) delivery.Ride {
	return delivery.Ride{Hint: delivery.Hint{Key: key("dest-1", log), At: base.Add(7 * time.Millisecond)}, Delay: delay}
}

// arrived fails the test unless exactly the hints of these rides arrive in time.
func (q RetryQueue) arrived(t *testing.T, within time.Duration, rides ...delivery.Ride) {
	t.Helper()
	var want []delivery.Hint
	for _, r := range rides {
		want = append(want, r.Hint)
	}
	got := q.Receive(t, within)
	slices.SortFunc(got, func(a, b delivery.Hint) int { return cmp.Compare(a.LogID, b.LogID) })
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the hints differ (-want +got):\n%s", diff)
	}
}

func hintsBack(t *testing.T, q RetryQueue) {
	var rides []delivery.Ride
	for i := range 37 {
		r := rideAt(fmt.Sprintf("log-%02d", i), 0)
		r.DestinationID, r.Drain = fmt.Sprint("dest-", i%5), i%2 == 0
		r.Why = []delivery.Why{"", delivery.WhyProbe, delivery.WhyDrain, delivery.WhyRedrive, delivery.WhyTurn}[i%5]
		rides = append(rides, r)
	}
	expect(t, q.Send(t.Context(), rides), make([]error, len(rides))...)
	q.arrived(t, 2*time.Second, rides...)
}

func delayed(t *testing.T, q RetryQueue) {
	now, soon, late := rideAt("a", 0), rideAt("b", 3*time.Second), rideAt("c", 900*time.Second)
	expect(t, q.Send(t.Context(), []delivery.Ride{soon, now, late}), nil, nil, nil)
	q.arrived(t, time.Second, now)
	q.arrived(t, 4*time.Second, soon)
}

func badDelays(t *testing.T, q RetryQueue) {
	good := rideAt("a", 0)
	rides := []delivery.Ride{rideAt("x", -time.Second), good, rideAt("x", 1500*time.Millisecond), rideAt("x", 901*time.Second), rideAt("x", time.Nanosecond)}
	for i, err := range q.Send(t.Context(), rides) {
		if want := i != 1; (err != nil) != want {
			t.Errorf("delay of %v: error %v", rides[i].Delay, err)
		}
	}
	q.arrived(t, 2*time.Second, good)
}

// RejectedQueue is the rejected queue under test.
type RejectedQueue struct {
	delivery.RejectedQueue
	// Receive hands out, and deletes, every rejected message, without Receives.
	Receive func(t *testing.T) []delivery.Rejection
}

// BeyondBasicPlane is the test of Rejects that a server does not pass that knows only characters up to U+FFFF.
const BeyondBasicPlane = "characters beyond the basic plane"

// Rejects is the suite of delivery.RejectedQueue, less the tests that the server is known not to pass. Each test opens an empty queue; they
// run beside each other, since they wait.
func Rejects(t *testing.T, open func(t *testing.T) RejectedQueue, deviations ...string) {
	whole := make([]byte, 1<<20)
	for i := range whole {
		whole[i] = 'a' + byte(i%26)
	}
	for name, bodies := range map[string][][]byte{
		"one":                              {[]byte(`{"id":1}`)},
		"none":                             {},
		"more than a call carries":         slices.Repeat([][]byte{[]byte("x")}, 23),
		"together more than 1 MiB":         {whole[:700<<10], whole[:700<<10], []byte("small")},
		"1 MiB with no room for a reason":  {whole, []byte("small")},
		"text of all scripts":              {[]byte("grüße, 日本語\t\r\n<&>")},
		BeyondBasicPlane:                   {[]byte("🙂")},
		"characters that no queue takes":   {[]byte("a\x00b"), []byte("\xff\xfe"), []byte("small")},
		"no body at all":                   {[]byte(""), []byte("small")},
		"a body like a pointer to nothing": {[]byte(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]`)},
	} {
		if slices.Contains(deviations, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := open(t)
			var want []delivery.Rejection
			for i, body := range bodies {
				want = append(want, delivery.Rejection{
					Message: delivery.Message{ID: fmt.Sprintf("message-%02d", i), Body: body, SentAt: accepted},
					Reason:  "payload must be a JSON object, not „an array“",
					At:      base,
				})
			}
			expect(t, q.Reject(t.Context(), want), make([]error, len(want))...)
			got := q.Receive(t)
			slices.SortFunc(got, func(a, b delivery.Rejection) int { return cmp.Compare(a.ID, b.ID) })
			if diff := gocmp.Diff(want, got, wholeBytes()); diff != "" {
				t.Errorf("the rejected messages differ (-want +got, up to 2,000 bytes):\n%.2000s", diff)
			}
		})
	}
}
