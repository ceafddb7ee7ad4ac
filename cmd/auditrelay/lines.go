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
	lines := bufio.NewReaderSize(in, 1<<16)
	if start, _ := lines.Peek(2); gzipped(name) || bytes.Equal(start, []byte{0x1f, 0x8b}) { // no JSON begins like that
		unzipped, err := gzip.NewReader(lines)
		if err != nil {
			return fmt.Errorf("%s is not gzip: %w", name, err)
		}
		lines = bufio.NewReaderSize(unzipped, 1<<16)
	}
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
		return usageError("--wrap needs --workspace: the workspace that the logs belong to")
	}
	if w.logType == "" && w.workspace != "" {
		return usageError("--workspace goes with --wrap; without it, lines are logs already and name their own workspace")
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
	if raw := fields[w.idField]; wholeNumber(raw) {
		id, err = string(raw), nil
	}
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

// wholeNumber says whether a JSON value is one, as the ids of many systems are.
func wholeNumber(raw json.RawMessage) bool {
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(raw) > 0
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
