package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// File is the configuration file: workspaces and destinations.
type File struct {
	Workspaces   []FileWorkspace   `yaml:"workspaces"`
	Destinations []FileDestination `yaml:"destinations"`
}

// FileWorkspace is a workspace in the file.
type FileWorkspace struct {
	ID              string                  `yaml:"id"`
	Name            string                  `yaml:"name"`
	Kind            directory.WorkspaceKind `yaml:"kind"`
	ParentID        string                  `yaml:"parent_id"`
	Admins          []string                `yaml:"admins"`
	ErrorRecipients []string                `yaml:"error_recipients"`
	// ExternalID, if set, is the same at each start, so that a role which was made for one start serves the next.
	ExternalID string `yaml:"external_id"`
}

// FileDestination is a destination in the file. Settings and Credentials are the kind's own.
type FileDestination struct {
	ID          string         `yaml:"id"`
	Name        string         `yaml:"name"`
	WorkspaceID string         `yaml:"workspace_id"`
	Kind        directory.Kind `yaml:"kind"`
	Shared      bool           `yaml:"shared"`
	LogTypes    []string       `yaml:"log_types"`
	Settings    map[string]any `yaml:"settings"`
	Credentials map[string]any `yaml:"credentials"`
}

// Directory is what a file says, checked.
type Directory struct {
	Workspaces   []directory.Workspace
	Destinations []directory.Destination
	// Credentials are the destinations' credentials by id.
	Credentials map[string]json.RawMessage
}

// ReadFile reads and checks a configuration file. Errors name the file, the line, the field and the rule, and quote no value.
func ReadFile(path string, network sink.Network) (Directory, error) {
	source, err := ReadYAML(path, nil)
	if err != nil {
		return Directory{}, fmt.Errorf("read the configuration: %w", err)
	}
	return ParseFile(path, source, network)
}

// ParseFile is ReadFile for a file in memory; path stands in errors only.
func ParseFile(path string, source []byte, network sink.Network) (Directory, error) {
	c := checker{path: path, network: network, workspaces: make(map[string]bool), destinations: make(map[string]bool)}
	var err error
	if c.tree, err = ParseYAML(source); err != nil {
		return Directory{}, c.yamlError(err)
	}
	if len(c.tree.Docs) > 1 && c.tree.Docs[1].Body != nil {
		return Directory{}, fmt.Errorf("%s:%d: must be one document; what follows --- would be left out", path, c.tree.Docs[1].Body.GetToken().Position.Line)
	}
	var f File
	if len(c.tree.Docs) > 0 && c.tree.Docs[0].Body != nil {
		if err := yaml.NodeToValue(c.tree.Docs[0].Body, &f, yaml.Strict()); err != nil {
			return Directory{}, c.yamlError(err)
		}
	}
	return c.check(f)
}

// checker turns a file into a directory and knows the line of everything in it.
type checker struct {
	path         string
	tree         *ast.File
	network      sink.Network
	workspaces   map[string]bool
	destinations map[string]bool
}

func (c *checker) check(f File) (Directory, error) {
	d := Directory{Credentials: make(map[string]json.RawMessage)}
	for i, w := range f.Workspaces {
		at := fmt.Sprintf("$.workspaces[%d]", i)
		if err := c.workspace(at, w); err != nil {
			return Directory{}, err
		}
		d.Workspaces = append(d.Workspaces, directory.Workspace{
			ID: w.ID, Name: w.Name, Kind: w.Kind, ParentID: w.ParentID, Admins: w.Admins, ErrorRecipients: w.ErrorRecipients,
			ExternalID: w.ExternalID,
		})
	}
	for i, w := range f.Workspaces {
		if w.ParentID != "" && !c.workspaces[w.ParentID] {
			return Directory{}, c.fail(fmt.Sprintf("$.workspaces[%d].parent_id", i), "there is no workspace %q in this file", w.ParentID)
		}
	}
	for i, fd := range f.Destinations {
		at := fmt.Sprintf("$.destinations[%d]", i)
		dest, credentials, err := c.destination(at, fd)
		if err != nil {
			return Directory{}, err
		}
		d.Destinations = append(d.Destinations, dest)
		d.Credentials[dest.ID] = credentials
	}
	return d, nil
}

func (c *checker) workspace(at string, w FileWorkspace) error {
	if err := events.CheckID("it", w.ID); err != nil {
		return c.fail(at+".id", "%v", err)
	}
	switch {
	case c.workspaces[w.ID]:
		return c.fail(at+".id", "%q stands here twice", w.ID)
	case !slices.Contains(directory.WorkspaceKinds(), w.Kind):
		return c.fail(at+".kind", "must be one of %s", words(directory.WorkspaceKinds()))
	}
	for _, l := range []struct {
		field     string
		addresses []string
	}{{"admins", w.Admins}, {"error_recipients", w.ErrorRecipients}} {
		for i, address := range l.addresses {
			if err := directory.CheckAddress(address); err != nil {
				return c.fail(fmt.Sprintf("%s.%s[%d]", at, l.field, i), "%v", err)
			}
		}
	}
	if w.ExternalID != "" {
		if err := directory.CheckExternalID(w.ExternalID); err != nil {
			return c.fail(at+".external_id", "%v", err)
		}
	}
	c.workspaces[w.ID] = true
	return nil
}

func (c *checker) destination(at string, f FileDestination) (directory.Destination, json.RawMessage, error) {
	var none directory.Destination
	if err := events.CheckID("it", f.ID); err != nil {
		return none, nil, c.fail(at+".id", "%v", err)
	}
	for i, logType := range f.LogTypes {
		if err := events.CheckType(logType); err != nil {
			return none, nil, c.fail(fmt.Sprintf("%s.log_types[%d]", at, i), "%v", err)
		}
	}
	switch {
	case c.destinations[f.ID]:
		return none, nil, c.fail(at+".id", "%q stands here twice", f.ID)
	case !c.workspaces[f.WorkspaceID]:
		return none, nil, c.fail(at+".workspace_id", "there is no workspace %q in this file", f.WorkspaceID)
	case !slices.Contains(directory.Kinds(), f.Kind):
		return none, nil, c.fail(at+".kind", "must be one of %s, not %q", words(directory.Kinds()), f.Kind)
	}
	c.destinations[f.ID] = true
	settings, err := object(f.Settings)
	if err != nil {
		return none, nil, c.fail(at+".settings", "%v", err)
	}
	credentials, err := object(f.Credentials)
	if err != nil {
		return none, nil, c.fail(at+".credentials", "cannot be written as JSON")
	}
	d := directory.Destination{
		ID: f.ID, Name: f.Name, WorkspaceID: f.WorkspaceID, Kind: f.Kind, Shared: f.Shared, LogTypes: f.LogTypes,
		Settings: settings, State: directory.Connected, Health: directory.Health{State: directory.Healthy}, Version: 1,
	}
	if err := sink.Validate(d, credentials, c.network); err != nil {
		if field, ok := errors.AsType[*sink.FieldError](err); ok {
			return none, nil, c.fail(at+"."+field.Field, "%s", field.Rule)
		}
		return none, nil, c.fail(at, "%v", err)
	}
	return d, credentials, nil
}

func object(m map[string]any) (json.RawMessage, error) {
	if m == nil {
		return json.RawMessage("{}"), nil
	}
	return json.Marshal(m)
}

// fail says where in the file a rule is broken: at the path, or at the nearest thing around it that is there.
func (c *checker) fail(path, rule string, a ...any) error {
	field := strings.TrimPrefix(path, "$.")
	for around := path; around != "$"; around = around[:max(strings.LastIndexAny(around, ".["), 1)] {
		p, err := yaml.PathString(around)
		if err != nil {
			continue
		}
		if node, err := p.FilterFile(c.tree); err == nil && node != nil {
			return fmt.Errorf("%s:%d: %s: %s", c.path, node.GetToken().Position.Line, field, fmt.Sprintf(rule, a...))
		}
	}
	return fmt.Errorf("%s: %s: %s", c.path, field, fmt.Sprintf(rule, a...))
}

// yamlError keeps the message and the line of a YAML error and leaves out the excerpt of the file, in which credentials may stand.
func (c *checker) yamlError(err error) error {
	if e, ok := errors.AsType[*BoundError](err); ok {
		return e.In(c.path)
	}
	if e, ok := errors.AsType[*yaml.TypeError](err); ok && e.DstType.Kind() == reflect.Bool && e.Token != nil {
		return fmt.Errorf("%s:%d: must be true or false", c.path, e.Token.Position.Line)
	}
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", c.path, e.GetToken().Position.Line, e.GetMessage())
	}
	return fmt.Errorf("%s: the file is not valid YAML", c.path)
}

func words[T ~string](list []T) string {
	s := make([]string, len(list))
	for i, w := range list {
		s[i] = string(w)
	}
	return strings.Join(s, ", ")
}
