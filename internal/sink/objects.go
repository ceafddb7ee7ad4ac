package sink

import (
	"bytes"
	"context"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// layout says how logs become objects.
type layout string

const (
	layoutObject layout = "object" // one object a log
	layoutBatch  layout = "batch"  // gzipped NDJSON, one object for the logs that are sent together
)

// objectSettings are the settings that all stores of objects share. They are embedded in each kind's own.
type objectSettings struct {
	paceSettings
	// Prefix stands before every name, with a slash between.
	Prefix string `json:"prefix"`
	// Layout is "object" (the default) or "batch".
	Layout layout `json:"layout"`
	// KeyTemplate makes the names of the layout "object", see objectKey; empty for the default.
	KeyTemplate string `json:"key_template"`
	// Template makes the content of each log, see auditlog.Template; empty for the document itself.
	Template string `json:"template"`
}

// Limits of uploads.
const (
	defaultUploads = 16               // at the same time
	uploadTimeout  = 60 * time.Second // 40 MB over 5 Mbit/s
	// maxBatchObject is how many bytes of logs one object of the layout "batch" holds before compression, unless one log is larger.
	maxBatchObject = 32 << 20
)

// object is what is to be stored.
type object struct {
	key         string
	body        []byte
	contentType string
}

// objects is a sink that stores logs under names made from the logs alone, so that an attempt made twice leaves one object.
type objects struct {
	settings objectSettings
	template auditlog.Template
	parallel int
	now      func() time.Time
	room     *Room
	owner    string
	// put stores an object, over one that has the name. The error is a *failure.Error.
	put func(ctx context.Context, o object) error
}

// newObjects checks the settings. put is still to be set.
func newObjects(s objectSettings, env environment) (*objects, error) {
	if s.Layout == "" {
		s.Layout = layoutObject
	}
	if s.Layout != layoutObject && s.Layout != layoutBatch {
		return nil, invalid("settings.layout", "must be object or batch")
	}
	if problem := checkPrefix(s.Prefix); problem != "" {
		return nil, invalid("settings.prefix", "%s", problem)
	}
	if s.KeyTemplate != "" {
		if s.Layout == layoutBatch {
			return nil, invalid("settings.key_template", "names the objects of single logs, so it cannot be used with the layout batch")
		}
		if problem := checkKeyTemplate(s.KeyTemplate, env.saving); problem != "" {
			return nil, invalid("settings.key_template", "%s", problem)
		}
	}
	parallel, err := s.check(defaultUploads)
	if err != nil {
		return nil, err
	}
	o := &objects{settings: s, parallel: parallel, now: env.now, room: env.room, owner: env.owner}
	if s.Template != "" {
		template, err := auditlog.ParseTemplate(s.Template)
		if err != nil && env.saving {
			return nil, invalid("settings.template", "%v", err)
		}
		o.template = template // on an error the zero one, which gives the document itself
	}
	return o, nil
}

// Send implements delivery.Sink.
func (o *objects) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	if o.settings.Layout == layoutBatch {
		return o.sendBatches(ctx, logs)
	}
	results := make([]delivery.Result, len(logs))
	inParallel(len(logs), o.parallel, func(i int) {
		results[i] = o.store(ctx, o.made(logs[i]), func() object {
			return object{
				key:         joinPrefix(o.settings.Prefix, objectKey(logs[i], o.settings.KeyTemplate)),
				body:        o.content(logs[i]),
				contentType: "application/json",
			}
		})
	})
	return results
}

// sendBatches stores the logs in as few objects as maxBatchObject allows. The same logs, in whatever order, give the same objects.
func (o *objects) sendBatches(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	results := make([]delivery.Result, len(logs))
	size := func(log named) int { return o.template.Size(log.Document) }
	for _, batch := range batches(inOrder(logs), size) {
		need := 0
		for _, log := range batch {
			need += size(log)
		}
		result := o.store(ctx, need, func() object {
			return object{
				key:         joinPrefix(o.settings.Prefix, batchKey(batch)),
				body:        o.compress(batch),
				contentType: "application/gzip",
			}
		})
		for _, log := range batch {
			results[log.place] = result
		}
	}
	return results
}

// store makes and stores one object, in whose making up to need bytes of memory are taken.
func (o *objects) store(ctx context.Context, need int, build func() object) delivery.Result {
	if ctx.Err() != nil {
		return delivery.Result{Err: delivery.ErrNotTried}
	}
	leave, err := o.room.take(ctx, o.owner, need+maxAnswer)
	if err != nil {
		return delivery.Result{Err: err}
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	begun := time.Now() // a stopwatch: no decision hangs on it
	err = o.put(ctx, build())
	return delivery.Result{Err: err, Took: time.Since(begun)}
}

// made is how many bytes are made to store one log: none of the document as it is.
func (o *objects) made(log auditlog.Document) int {
	if o.template.IsZero() {
		return 0
	}
	return o.template.Size(log)
}

// content is what is stored for one log.
func (o *objects) content(log auditlog.Document) []byte {
	if o.template.IsZero() {
		return log.JSON
	}
	return o.template.Append(make([]byte, 0, o.template.Size(log)), log, o.now())
}

// compress makes gzipped NDJSON without a time in its header, so that the same logs give the same bytes.
func (o *objects) compress(logs []named) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, log := range logs {
		_, _ = w.Write(o.content(log.Document)) // a bytes.Buffer takes everything
		_, _ = w.Write([]byte{'\n'})
	}
	_ = w.Close()
	return b.Bytes()
}

// batches cuts logs into runs of at most maxBatchObject bytes by their sizes, each of at least one log.
func batches[L any](logs []L, size func(L) int) (runs [][]L) {
	begin, sum := 0, 0
	for i, log := range logs {
		n := size(log)
		if i > begin && sum+n > maxBatchObject {
			runs = append(runs, logs[begin:i])
			begin, sum = i, 0
		}
		sum += n
	}
	if begin < len(logs) {
		runs = append(runs, logs[begin:])
	}
	return runs
}

// unclassified is the failure for an error that no map of native errors knows and that is not the network's.
func unclassified(err error, detail string) *failure.Error {
	return &failure.Error{Code: failure.Unknown, Detail: detail, Err: err}
}
