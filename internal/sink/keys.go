package sink

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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
	// hash tells two logs under one id apart.
	hash string
	at   time.Time
	// recipe, job and status are empty for a log that is not a job's.
	recipe, job, status string
}

// objectKey gives the name of a log's object below the prefix. No two logs share a name, be it that they have one id, whatever their payloads say.
//
// The default name of a job's log is <workspace>/jobs/<recipe>/<date>/<job>/<workspace>-<recipe>-<job>-<date and time>-<status>-<hash>.json, with
// the log's id before the hash unless the id is the job's own: the summary and the details of one job have different ids. That keeps names apart
// because recipe and job are whole path segments, the time has 14 digits, the status only letters and the hash 16 characters, so the id can be
// read back from the name. Other logs are <workspace>/<type>/<date>/<id>-<hash>.json. Dates are those of occurred_at in UTC.
func objectKey(doc auditlog.Document, template string) string {
	f := readFacts(doc)
	if template != "" {
		return f.fill(template)
	}
	date := f.at.Format("20060102")
	if !isJob(f.logType) {
		return strings.Join([]string{f.workspace, f.logType, date, f.id + "-" + f.hash + ".json"}, "/")
	}
	name := strings.Join([]string{f.workspace, f.recipe, f.job, f.at.Format("20060102150405"), f.status}, "-")
	if f.job != f.id {
		name += "-" + f.id
	}
	return strings.Join([]string{f.workspace, "jobs", f.recipe, date, f.job, name + "-" + f.hash + ".json"}, "/")
}

// batchKey gives the name of the object that holds these logs. The logs are those that inOrder gave, so that the same logs have the
// same name in whatever order they came.
func batchKey(docs []named) string {
	h := sha256.New()
	var first time.Time
	for i, doc := range docs {
		_, _ = io.WriteString(h, doc.identity+"\n")
		if at := occurred(doc.Document); i == 0 || at.Before(first) {
			first = at
		}
	}
	return "batches/" + first.Format("20060102") + "/" + hex.EncodeToString(h.Sum(nil)[:16]) + ".ndjson.gz"
}

// named is a document with its identity, which takes a look at all of it, and its place among those that are sent.
type named struct {
	auditlog.Document
	identity string
	place    int
}

// inOrder sorts logs by their identities, so that the same logs give the same object.
func inOrder(docs []auditlog.Document) []named {
	sorted := make([]named, len(docs))
	for i, doc := range docs {
		sorted[i] = named{doc, doc.Identity(), i}
	}
	slices.SortStableFunc(sorted, func(a, b named) int { return strings.Compare(a.identity, b.identity) })
	return sorted
}

func isJob(logType string) bool { return logType == events.JobSummary || logType == events.JobDetails }

// readFacts reads the document no further than it needs to: a job's details can be 40 MB long. What cannot be read counts as absent.
func readFacts(doc auditlog.Document) facts {
	f := facts{workspace: pathSegment(doc.WorkspaceID, events.MaxIDLength), logType: doc.Type, id: doc.ID, hash: doc.Hash(), at: occurred(doc)}
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

// occurred is when it happened, in UTC; the zero time if the document does not say.
func occurred(doc auditlog.Document) time.Time {
	at, err := time.Parse(time.RFC3339, doc.OccurredAt())
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
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

// hashPlace stands for the hash in a key template.
const hashPlace = "{hash}"

// hashed is a key template with the hash in it. One that has none gets it before the extension: what follows the first dot after the last
// placeholder and slash. There it stands as far from the name's end in every name.
func hashed(template string) string {
	if strings.Contains(template, hashPlace) {
		return template
	}
	end := strings.LastIndexAny(template, "/}") + 1
	if dot := strings.IndexByte(template[end:], '.'); dot >= 0 {
		end += dot
	} else {
		end = len(template)
	}
	return template[:end] + "-" + hashPlace + template[end:]
}

// fill puts the facts into a key template that checkKeyTemplate has passed.
func (f facts) fill(template string) string {
	return strings.NewReplacer(
		"{workspace}", f.workspace, "{id}", pathSegment(f.id, events.MaxIDLength), "{type}", f.logType, hashPlace, f.hash,
		"{date}", f.at.Format("20060102"), "{time}", f.at.Format("150405"), "{year}", f.at.Format("2006"),
		"{month}", f.at.Format("01"), "{day}", f.at.Format("02"), "{hour}", f.at.Format("15"),
		"{recipe}", cmp.Or(f.recipe, absent), "{job}", cmp.Or(f.job, absent), "{status}", cmp.Or(f.status, absent),
	).Replace(hashed(template))
}

// checkKeyTemplate says what is wrong with a key template, or "" if nothing is. The id and the workspace must each stand in a path segment
// without other parts of varying length, because only then do two logs never get the same name: {recipe}-{id} is a-b-c for two of them. The hash,
// which has one length, needs a segment with such parts on one side of it at most.
func checkKeyTemplate(template string, saving bool) string {
	if problem := checkPath(template); problem != "" {
		return problem
	}
	var id, workspace, hash bool
	for segment := range strings.SplitSeq(template, "/") {
		varying, problem := placeholders(segment)
		if problem != "" {
			return problem
		}
		id = id || slices.Equal(varying, []string{"id"})
		workspace = workspace || slices.Equal(varying, []string{"workspace"})
		hash = hash || hashStands(segment)
	}
	if longest := len(longestFacts().fill(template)); longest > maxKey-maxPrefix-1 && saving {
		return fmt.Sprintf("can give a name of %d bytes; the longest may have %d, so that a prefix fits before it", longest, maxKey-maxPrefix-1)
	}
	if !id {
		return "needs a path segment with {id} and without {workspace}, {type}, {recipe}, {job} or {status}, so that every log has a name of its own"
	}
	if !workspace {
		return "needs a path segment with {workspace} and without {id}, {type}, {recipe}, {job} or {status}, so that workspaces are kept apart"
	}
	if !hash && strings.Contains(template, hashPlace) {
		return "needs {hash} in a path segment where {id}, {workspace}, {type}, {recipe}, {job} and {status} stand before it or after it, not both"
	}
	return ""
}

// hashStands says whether the hash can be read back from a path segment: it is as far from its beginning, or from its end, in every name.
func hashStands(segment string) bool {
	parts := strings.Split(segment, hashPlace)
	if len(parts) == 1 {
		return false
	}
	before, _ := placeholders(parts[0])
	after, _ := placeholders(parts[len(parts)-1])
	return len(before) == 0 || len(after) == 0
}

func longestFacts() facts {
	of := func(n int) string { return strings.Repeat("x", n-1) + "." }
	return facts{
		workspace: pathSegment(of(events.MaxIDLength), events.MaxIDLength), id: of(events.MaxIDLength), logType: of(events.MaxTypeLength),
		hash:   strings.Repeat("0", auditlog.HashLength),
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
		case "hash", "date", "time", "year", "month", "day", "hour":
		default:
			return nil, "may hold {workspace} {id} {hash} {type} {date} {time} {year} {month} {day} {hour} {recipe} {job} {status}, and no other placeholder"
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
