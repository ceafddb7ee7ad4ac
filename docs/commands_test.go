package docs

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommands executes the commands of each page in their order, against a system of this machine that the page itself starts. What needs an account
// is only read by the shell. The examples of docs/cli.md are executed where they are written, in cmd/auditrelay.
func TestCommands(t *testing.T) {
	program := filepath.Join(t.TempDir(), "auditrelay")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/auditrelay").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, page := range pages(t) {
		if page == "docs/cli.md" {
			continue
		}
		t.Run(page, func(t *testing.T) {
			s := &session{t: t, program: program}
			defer s.end()
			for _, block := range snippets(t, page) {
				if block.language != "sh" {
					continue
				}
				if block.account != "" {
					s.parse(block)
					continue
				}
				if command, harmless := harmless(block); !harmless {
					t.Errorf("%s:%d: %q is not executed by tests: mark the block with what it needs, or let harmless know it", page, block.line, command)
					continue
				}
				for _, command := range commands(block.text) {
					s.run(block, command)
				}
			}
		})
	}
}

// commands are the lines of a block; one that ends in a backslash goes on, and what follows " # " is for the reader.
func commands(block string) []string {
	var list []string
	block = strings.ReplaceAll(block, "\\\n", "")
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, " # ")
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// localCommand is all that a test executes: this project's own command line at this machine's system, requests to that system, and a look at make's targets.
// Documentation also tells how to delete tables, so what is not known here never runs, marked or not.
var localCommand = regexp.MustCompile(`^(` + regexp.QuoteMeta(goTool) + ` (local|send --url http://127\.0\.0\.1:8686/ingest|demo|status --local)\b` +
	`|curl -s( -X POST)? http://127\.0\.0\.1:8686/|make [a-z0-9-]+$)[^;&|<>$` + "`" + `]*$`)

// harmless says whether each command of a block may be executed, and otherwise which not.
func harmless(block snippet) (command string, yes bool) {
	for _, c := range commands(block.text) {
		if !localCommand.MatchString(c) {
			return c, false
		}
	}
	return "", true
}

func TestOnlyHarmlessCommandsAreExecuted(t *testing.T) {
	for command, want := range map[string]bool{
		"go run ./cmd/auditrelay local --config docs/examples/local.yaml":                           true,
		"go run ./cmd/auditrelay send --url http://127.0.0.1:8686/ingest docs/examples/logs.ndjson": true,
		`curl -s -X POST http://127.0.0.1:8686/clock/advance -d '{"by":"8h"}'`:                      true,
		"make demo": true,
		"go run ./cmd/auditrelay local && rm -r build":                                                false,
		"go run ./cmd/auditrelay send --url https://sqs.eu-west-1.amazonaws.com/1/ingest logs.ndjson": false,
		"curl -s https://example.com/":                                                                false,
		"curl -s http://127.0.0.1:8686/ledger > README.md":                                            false,
		"make demo clean":                     false,
		"npm ci --omit=dev":                   false,
		"npx cdk destroy --context stage=dev": false,
		"aws s3 rb s3://BUCKET --force":       false,
		"git pull":                            false,
		"gcloud storage buckets add-iam-policy-binding gs://acme": false,
	} {
		if _, got := harmless(snippet{text: command}); got != want {
			t.Errorf("%s: %t, want %t", command, got, want)
		}
	}
}

// session is what a reader has open while reading a page: a system, perhaps.
type session struct {
	t       *testing.T
	program string
	system  *exec.Cmd
	stop    context.CancelFunc
	address string
}

const (
	usual  = "127.0.0.1:8686" // where auditrelay local listens unless told otherwise
	goTool = "go run ./cmd/auditrelay"
)

func (s *session) run(block snippet, command string) {
	s.t.Helper()
	switch {
	case strings.HasPrefix(command, "make "):
		s.target(block, strings.Fields(command)[1])
	case strings.HasPrefix(command, goTool+" local"):
		s.start(block, command)
	default:
		if strings.Contains(command, usual) && s.address == "" {
			s.t.Fatalf("%s:%d: %s: nothing listens yet", block.page, block.line, command)
		}
		line := strings.ReplaceAll(strings.ReplaceAll(command, goTool, s.program), usual, s.address)
		line = strings.ReplaceAll(line, "curl -s", "curl -sf") // an answer that refuses is no success
		if out, err := shell(s.t, line).CombinedOutput(); err != nil {
			s.t.Errorf("%s:%d: %s: %v\n%s", block.page, block.line, command, err, out)
		}
	}
}

// target holds that a target is there and can be made. What it does is executed by CI, by that name.
func (s *session) target(block snippet, name string) {
	s.t.Helper()
	if out, err := shell(s.t, "make --dry-run "+name).CombinedOutput(); err != nil {
		s.t.Errorf("%s:%d: make %s: %v\n%s", block.page, block.line, name, err, out)
	}
	ci := read(s.t, ".ci/run")
	if !regexp.MustCompile(`(?m)^step make (.* )?` + regexp.QuoteMeta(name) + `( |$)`).MatchString(ci) {
		s.t.Errorf("%s:%d: make %s is not executed by .ci/run", block.page, block.line, name)
	}
}

// start runs a system in place of the one before, on a free port, until it says that it is ready.
func (s *session) start(block snippet, command string) {
	s.t.Helper()
	s.end()
	ctx, stop := context.WithCancel(s.t.Context())
	args := append(strings.Fields(strings.TrimPrefix(command, goTool)), "--listen", "127.0.0.1:0")
	s.system, s.stop = exec.CommandContext(ctx, s.program, args...), stop
	s.system.Dir = root
	out, err := s.system.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.system.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ready := strings.CutPrefix(lines.Text(), "ready http://"); ready {
			s.address = address
			return
		}
	}
	s.t.Fatalf("%s:%d: %s ended and was never ready", block.page, block.line, command)
}

func (s *session) end() {
	if s.system != nil {
		s.stop()
		_ = s.system.Wait() // it was killed
	}
	s.system, s.address = nil, ""
}

// parse reads commands that cannot be executed: by the shell, and by the command line of this project where they are its own.
func (s *session) parse(block snippet) {
	s.t.Helper()
	check := exec.CommandContext(s.t.Context(), "bash", "-n")
	check.Stdin = strings.NewReader(block.text)
	if out, err := check.CombinedOutput(); err != nil {
		s.t.Errorf("%s:%d: %v\n%s", block.page, block.line, err, out)
	}
	outside := regexp.MustCompile(`\b(aws|cdk|gcloud|az|AWS|` + regexp.QuoteMeta(goTool) + `)\b`)
	if !outside.MatchString(block.text) {
		s.t.Errorf("%s:%d: nothing in it needs %s", block.page, block.line, block.account)
	}
	for _, command := range commands(block.text) {
		if strings.HasPrefix(command, goTool) {
			s.understood(block, strings.Replace(command, goTool, s.program, 1))
		}
	}
}

// understood asks for the help of a command with its flags, which fails where a command or a flag is not there.
func (s *session) understood(block snippet, command string) {
	s.t.Helper()
	command = regexp.MustCompile(`\$[A-Z_]+`).ReplaceAllString(command, "https://sqs.example/queue") // known to the reader
	if out, err := shell(s.t, command+" --help").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Usage:")) {
		s.t.Errorf("%s:%d: %s: %v\n%s", block.page, block.line, command, err, out)
	}
}

func shell(t *testing.T, command string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	return cmd
}

var span = regexp.MustCompile("`((?:auditrelay|make) [a-z][^`]*)`")

// TestCommandsInTheText holds that commands within sentences are there, with their flags.
func TestCommandsInTheText(t *testing.T) {
	program := filepath.Join(t.TempDir(), "auditrelay")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/auditrelay").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	makefile := read(t, "Makefile")
	var known []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(makefile, -1) {
		known = append(known, m[1])
	}
	found := 0
	for _, page := range pages(t) {
		for _, m := range span.FindAllStringSubmatch(read(t, page), -1) {
			words := strings.Fields(m[1])
			found++
			if words[0] == "make" {
				if !slices.Contains(known, words[1]) {
					t.Errorf("%s: there is no `%s`", page, m[1])
				}
				continue
			}
			if strings.ContainsAny(m[1], "|…") { // a choice, for the reader
				continue
			}
			s := &session{t: t, program: program}
			s.understood(snippet{page: page}, strings.Replace(m[1], "auditrelay", program, 1))
		}
	}
	if found < 10 {
		t.Errorf("only %d commands were found in the text", found)
	}
}
