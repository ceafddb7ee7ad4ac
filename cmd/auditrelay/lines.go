package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
)

func gzipped(file string) bool { return strings.HasSuffix(file, ".gz") }

// file sends each line of a file; "-" is standard input.
func (s *sender) file(ctx context.Context, name string, stdin io.Reader) error {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("open the logs: %w", err)
		}
		defer f.Close()
		in = f
	}
	if gzipped(name) {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s is not gzip: %w", name, err)
		}
		in = unzipped
	}
	lines := bufio.NewReaderSize(in, 1<<16)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			place := fmt.Sprintf("%s:%d", name, number)
			body, workspaceID, bad := s.wrap.log(line)
			if bad != nil {
				return fmt.Errorf("%s: %w", place, bad)
			}
			if err := s.add(ctx, outgoing{workspaceID, body, place}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
}

// wrapping makes logs of foreign JSON objects; without a type it passes lines on as they are.
type wrapping struct {
	logType, workspace, idField, timeField string
}

func (w wrapping) check() error {
	if w.logType != "" && w.workspace == "" {
		return errors.New("--wrap needs --workspace: the workspace that the logs belong to")
	}
	if w.logType == "" && w.workspace != "" {
		return errors.New("--workspace goes with --wrap; without it, lines are logs already and name their own workspace")
	}
	return nil
}

// log gives the message of a line and the workspace that it is for.
func (w wrapping) log(line []byte) (body []byte, workspaceID string, err error) {
	if w.logType == "" {
		var envelope struct {
			WorkspaceID string `json:"workspace_id"`
		}
		bad := json.Unmarshal(line, &envelope)
		if bad == nil {
			bad = events.CheckID("workspace_id", envelope.WorkspaceID)
		}
		if bad == nil {
			workspaceID = envelope.WorkspaceID
		}
		return line, workspaceID, nil // the receiving side says what is wrong with it
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, "", errors.New("the line is not a JSON object")
	}
	id, err := field(fields, w.idField, "--id-field")
	if err != nil {
		return nil, "", err
	}
	at, err := field(fields, w.timeField, "--time-field")
	if err != nil {
		return nil, "", err
	}
	occurred, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return nil, "", fmt.Errorf("the field %q (--time-field) is no RFC 3339 time", w.timeField)
	}
	log := events.Log{ID: id, WorkspaceID: w.workspace, Type: w.logType, OccurredAt: occurred, Payload: line}
	if err := log.Validate(); err != nil {
		return nil, "", err
	}
	body, err = json.Marshal(log)
	return body, w.workspace, err
}

func field(fields map[string]json.RawMessage, name, flag string) (string, error) {
	var text string
	raw, ok := fields[name]
	if !ok {
		return "", fmt.Errorf("the line has no field %q (%s)", name, flag)
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("the field %q (%s) is not a string", name, flag)
	}
	return text, nil
}
