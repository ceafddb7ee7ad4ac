package sink

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// Limits of object names. The longest default name is a prefix, twice the workspace, recipe and job, the log's id and some fixed parts, which
// stays under maxKey; a key template is checked for it.
const (
	maxKey          = 1024 // bytes of a name in S3 and Azure Blob
	maxPrefix       = 200  // bytes of a destination's prefix
	maxPayloadValue = 64   // bytes of a recipe or a job in a name
	maxStatus       = 20   // letters of a job's status
)

// absent stands in a name for what the payload does not say.
const absent = "unknown"

// facts are what an object's name is made of. They come from the document alone, so that every attempt gives the same name.
type facts struct {
	workspace, logType, id string
	at                     time.Time
	// recipe, job and status are empty for a log that is not a job's.
	recipe, job, status string
}

// objectKey gives the name of a log's object below the prefix. No two logs of one workspace, nor of two, share a name, whatever their payloads say.
//
// The default name of a job's log is <workspace>/jobs/<recipe>/<date>/<job>/<workspace>-<recipe>-<job>-<date and time>-<status>.json, with the
// log's id before the suffix unless the id is the job's own: the summary and the details of one job have different ids. That keeps names apart
// because recipe and job are whole path segments, the time has 14 digits and the status only letters, so the id can be read back from the name.
// Other logs are <workspace>/<type>/<date>/<id>.json. Dates are those of occurred_at in UTC.
func objectKey(doc auditlog.Document, template string) string {
	f := readFacts(doc)
	if template != "" {
		return f.fill(template)
	}
	date := f.at.Format("20060102")
	if !isJob(f.logType) {
		return strings.Join([]string{f.workspace, f.logType, date, f.id + ".json"}, "/")
	}
	name := strings.Join([]string{f.workspace, f.recipe, f.job, f.at.Format("20060102150405"), f.status}, "-")
	if f.job != f.id {
		name += "-" + f.id
	}
	return strings.Join([]string{f.workspace, "jobs", f.recipe, date, f.job, name + ".json"}, "/")
}

// batchKey gives the name of the object that holds these logs. The logs are those that inOrder gave, so that the same logs have the
// same name in whatever order they came.
func batchKey(docs []auditlog.Document) string {
	h := sha256.New()
	var first time.Time
	for i, doc := range docs {
		fmt.Fprintf(h, "%s/%s\n", doc.WorkspaceID, doc.ID) // neither holds a slash
		if at := readFacts(doc).at; i == 0 || at.Before(first) {
			first = at
		}
	}
	return "batches/" + first.Format("20060102") + "/" + hex.EncodeToString(h.Sum(nil)[:16]) + ".ndjson.gz"
}

// inOrder sorts logs by workspace and id, so that the same logs give the same object.
func inOrder(docs []auditlog.Document) []auditlog.Document {
	return slices.SortedFunc(slices.Values(docs), func(a, b auditlog.Document) int {
		return cmp.Or(strings.Compare(a.WorkspaceID, b.WorkspaceID), strings.Compare(a.ID, b.ID))
	})
}

func isJob(logType string) bool { return logType == events.JobSummary || logType == events.JobDetails }

// readFacts reads the document no further than it needs to: a job's details can be 40 MB long. What cannot be read counts as absent.
func readFacts(doc auditlog.Document) facts {
	f := facts{workspace: pathSegment(doc.WorkspaceID, events.MaxIDLength), logType: doc.Type, id: doc.ID}
	if at, err := time.Parse(time.RFC3339, doc.OccurredAt()); err == nil {
		f.at = at.UTC()
	}
	if !isJob(doc.Type) {
		return f
	}
	var recipe, job, status string
	readMembers(
		jsontext.NewDecoder(bytes.NewBuffer(doc.JSON), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)), "",
		map[string]*string{"payload.recipe_id": &recipe, "payload.id": &job, "payload.status": &status},
	)
	f.recipe, f.job, f.status = pathSegment(recipe, maxPayloadValue), pathSegment(job, maxPayloadValue), letters(status)
	return f
}

// readMembers fills want, whose keys are paths of members such as "payload.id", with strings and numbers, and stops when none is missing. It
// answers false when the object could not be read to its end.
func readMembers(in *jsontext.Decoder, path string, want map[string]*string) bool {
	if token, err := in.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for in.PeekKind() == '"' {
		name, err := in.ReadToken()
		if err != nil {
			return false
		}
		member := path + name.String()
		switch kind := in.PeekKind(); {
		case want[member] != nil && (kind == '"' || kind == '0'):
			value, err := in.ReadToken()
			if err != nil {
				return false
			}
			*want[member] = value.String()
			if delete(want, member); len(want) == 0 {
				return false
			}
		case kind == '{' && member == "payload":
			if !readMembers(in, "payload.", want) {
				return false
			}
		default:
			if in.SkipValue() != nil {
				return false
			}
		}
	}
	_, err := in.ReadToken()
	return err == nil
}

// pathSegment makes any text one harmless segment of an object's name: letters, digits, dots, hyphens and underscores, at most limit bytes. A dot
// at its end is written %2E, because Azure Blob drops it and "." and ".." mean something to tools that copy objects to files.
func pathSegment(s string, limit int) string {
	if s == "" {
		return absent
	}
	safe := []byte(s[:min(len(s), limit)])
	for i, c := range safe {
		if !isPlain(c) {
			safe[i] = '_'
		}
	}
	if last := len(safe) - 1; safe[last] == '.' {
		return string(safe[:last]) + "%2E"
	}
	return string(safe)
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}

func letters(s string) string {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return absent
		}
	}
	if s == "" || len(s) > maxStatus {
		return absent
	}
	return s
}

// fill puts the facts into a key template that checkKeyTemplate has passed.
func (f facts) fill(template string) string {
	return strings.NewReplacer(
		"{workspace}", f.workspace, "{id}", pathSegment(f.id, events.MaxIDLength), "{type}", f.logType,
		"{date}", f.at.Format("20060102"), "{time}", f.at.Format("150405"), "{year}", f.at.Format("2006"),
		"{month}", f.at.Format("01"), "{day}", f.at.Format("02"), "{hour}", f.at.Format("15"),
		"{recipe}", cmp.Or(f.recipe, absent), "{job}", cmp.Or(f.job, absent), "{status}", cmp.Or(f.status, absent),
	).Replace(template)
}

// checkKeyTemplate says what is wrong with a key template, or "" if nothing is. The id and the workspace must each stand in a path segment
// without other parts of varying length, because only then do two logs never get the same name: {recipe}-{id} is a-b-c for two of them.
func checkKeyTemplate(template string) string {
	if problem := checkPath(template); problem != "" {
		return problem
	}
	var id, workspace bool
	for segment := range strings.SplitSeq(template, "/") {
		varying, problem := placeholders(segment)
		if problem != "" {
			return problem
		}
		id = id || slices.Equal(varying, []string{"id"})
		workspace = workspace || slices.Equal(varying, []string{"workspace"})
	}
	if longest := len(longestFacts().fill(template)); longest > maxKey-maxPrefix-1 {
		return fmt.Sprintf("can give a name of %d bytes; the longest may have %d, so that a prefix fits before it", longest, maxKey-maxPrefix-1)
	}
	if !id {
		return "needs a path segment with {id} and without {workspace}, {type}, {recipe}, {job} or {status}, so that every log has a name of its own"
	}
	if !workspace {
		return "needs a path segment with {workspace} and without {id}, {type}, {recipe}, {job} or {status}, so that workspaces are kept apart"
	}
	return ""
}

func longestFacts() facts {
	of := func(n int) string { return strings.Repeat("x", n-1) + "." }
	return facts{
		workspace: pathSegment(of(events.MaxIDLength), events.MaxIDLength), id: of(events.MaxIDLength), logType: of(events.MaxTypeLength),
		recipe: pathSegment(of(maxPayloadValue), maxPayloadValue), job: pathSegment(of(maxPayloadValue), maxPayloadValue), status: of(maxStatus),
	}
}

// placeholders gives the placeholders of a path segment whose values vary in length.
func placeholders(segment string) (varying []string, problem string) {
	for rest := segment; ; {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			return varying, ""
		}
		name, after, closed := strings.Cut(rest[open+1:], "}")
		if rest[open] == '}' || !closed {
			return nil, "has a brace without its partner"
		}
		switch name {
		case "id", "workspace", "type", "recipe", "job", "status":
			varying = append(varying, name)
		case "date", "time", "year", "month", "day", "hour":
		default:
			return nil, "may hold {workspace} {id} {type} {date} {time} {year} {month} {day} {hour} {recipe} {job} {status}, and no other placeholder"
		}
		rest = after
	}
}

// checkPrefix says what is wrong with a destination's prefix, or "" if nothing is.
func checkPrefix(prefix string) string {
	if len(prefix) > maxPrefix {
		return fmt.Sprintf("must be at most %d bytes", maxPrefix)
	}
	return checkPath(strings.TrimSuffix(prefix, "/"))
}

// checkPath says what is wrong with a part of an object's name that an admin wrote.
func checkPath(path string) string {
	if path == "" {
		return ""
	}
	for _, c := range []byte(path) {
		if c < ' ' || c > '~' || c == '\\' {
			return "may hold printable ASCII characters only, and no backslash"
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || strings.HasSuffix(segment, ".") {
			return "must not begin with a slash, nor hold an empty path segment or one that ends in a dot"
		}
	}
	return ""
}

// joinPrefix puts the prefix before a key.
func joinPrefix(prefix, key string) string {
	if prefix = strings.TrimSuffix(prefix, "/"); prefix == "" {
		return key
	}
	return prefix + "/" + key
}
