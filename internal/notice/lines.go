package notice

import (
	"context"
	"io"
	"log/slog"
)

// Lines is the journal of a deployment: one JSON line a fact, each of which is also its metric in CloudWatch's embedded metric format.
type Lines struct {
	handler   slog.Handler
	namespace string
}

// NewLines writes lines to out, with metrics under the CloudWatch namespace.
func NewLines(out io.Writer, namespace string) *Lines {
	return &Lines{handler: slog.NewJSONHandler(out, nil), namespace: namespace}
}

// Record writes the entry's line.
func (l *Lines) Record(e Entry) {
	r := slog.NewRecord(e.At, level(e.Event), string(e.Event), 0)
	for _, a := range []slog.Attr{
		slog.String("kind", string(e.Kind)), slog.String("destination_id", e.DestinationID), slog.String("workspace_id", e.WorkspaceID),
		slog.String("code", string(e.Code)), slog.String("reason", e.Reason),
	} {
		if a.Value.String() != "" {
			r.AddAttrs(a)
		}
	}
	if e.Recipients > 0 {
		r.AddAttrs(slog.Int("recipients", e.Recipients))
	}
	if name := metric(e.Event); name != "" {
		r.AddAttrs(slog.Int(name, max(1, e.Recipients)), slog.Any("_aws", map[string]any{
			"Timestamp": e.At.UnixMilli(),
			"CloudWatchMetrics": []map[string]any{{
				"Namespace": l.namespace, "Dimensions": [][]string{{}}, "Metrics": []map[string]string{{"Name": name, "Unit": "Count"}},
			}},
		}))
	}
	_ = l.handler.Handle(context.Background(), r) // standard output of the function: nobody is left to tell
}

func level(e Event) slog.Level {
	switch e {
	case EventSent, EventDropped:
		return slog.LevelInfo
	case EventRefused, EventAddressRefused, EventNoRecipient:
		return slog.LevelWarn
	}
	return slog.LevelError
}

func metric(e Event) string {
	switch e {
	case EventSent:
		return "MailsSent"
	case EventRefused:
		return "MailsRefused"
	case EventUncertain:
		return "MailsUncertain"
	case EventAddressRefused:
		return "MailAddressesRefused"
	case EventNoRecipient:
		return "MailsWithoutRecipient"
	case EventFault:
		return "Faults"
	}
	return ""
}
