package local

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a YAML file, which somebody else may have written. The library has none of its own: its
// memory grows with the square of the depth, its time with the square of a mapping's keys, and aliases of
// aliases grow without end.
const (
	// largestYAML is the largest file, in bytes: some 50,000 destinations.
	largestYAML = 8 << 20
	// mostIndicators bounds the characters that begin or end something. The library takes a quarter of a KiB
	// for each.
	mostIndicators = 1_500_000
	// deepestYAML is how deep sequences and mappings may stand in each other. What a file says here is six
	// deep.
	deepestYAML = 64
	// mostKeys is the most keys of one mapping.
	mostKeys = 1000
	// mostAliased bounds what all aliases stand for, in bytes of text, with aliasedValue for each value.
	mostAliased  = 8 << 20
	aliasedValue = 16
)

// BoundError says which bound a YAML file breaks, and where.
type BoundError struct {
	// Line counts from 1; 0 is the file as a whole.
	Line int
	Rule string
}

// Error names the line and the rule.
func (e *BoundError) Error() string {
	if e.Line == 0 {
		return e.Rule
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Rule)
}

// In names the file too.
func (e *BoundError) In(file string) error {
	if e.Line == 0 {
		return fmt.Errorf("%s: %s", file, e.Rule)
	}
	return fmt.Errorf("%s:%d: %s", file, e.Line, e.Rule)
}

func tooLarge() *BoundError {
	return &BoundError{Rule: fmt.Sprintf("a YAML file may have at most %d bytes", largestYAML)}
}

func tooDeep(line int) *BoundError {
	return &BoundError{line, fmt.Sprintf("sequences and mappings may stand in each other at most %d deep",
		deepestYAML)}
}

// ReadYAML reads a file, or stdin if its name is -, no further than its bound.
func ReadYAML(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	source, err := io.ReadAll(io.LimitReader(in, largestYAML+1))
	if err != nil {
		return nil, err
	}
	if len(source) > largestYAML {
		return nil, tooLarge().In(name)
	}
	return source, nil
}

// ParseYAML reads a YAML or JSON text within the bounds. Its error is a *BoundError or the library's. What it
// gives may be decoded with yaml.NodeToValue: that takes time and memory in proportion to the bounds.
func ParseYAML(source []byte) (*ast.File, error) {
	if err := checkSource(source); err != nil {
		return nil, err
	}
	tokens := lexer.Tokenize(string(source))
	var n nesting
	for _, t := range tokens {
		if err := n.enter(t); err != nil {
			return nil, err
		}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Docs {
		a := aliases{sizes: make(map[string]int)}
		if a.size(d.Body); a.err != nil {
			return nil, a.err
		}
	}
	return file, nil
}

// checkSource looks at characters alone, since the library makes tokens of all of a text at once. A bracket
// in a text counts as well, so the depth of brackets has some room here.
func checkSource(source []byte) error {
	const room = 10
	if len(source) > largestYAML {
		return tooLarge()
	}
	indicators, quotes, open := 0, 0, 0
	for i, c := range source {
		switch c {
		case '[', '{':
			if open++; open > room*deepestYAML {
				return tooDeep(1 + bytes.Count(source[:i], []byte("\n")))
			}
			indicators++
		case ']', '}':
			open = max(0, open-1)
			indicators++
		case '"', '\'':
			quotes++
		case ',', ':', '?', '-', '&', '*', '!', '#', '|', '>', '%', '@', '`':
			indicators++
		}
		if indicators+quotes/2 > mostIndicators {
			return &BoundError{Rule: fmt.Sprintf("a YAML file may have at most %d colons, commas, brackets and the like", mostIndicators)}
		}
	}
	return nil
}

// nesting follows how deep tokens stand in each other, and how many keys a mapping has. In blocks it goes by
// columns: what is further to the right stands in what is further to the left. It does not tell valid YAML
// from other; that is the parser's task.
type nesting struct {
	blocks []level
	flows  []int // the keys of each open bracket
	// properties counts the anchors and tags in a row; named says that an anchor's name comes next.
	properties int
	named      bool
	last       *token.Token
}

// level is a block that begins at a column.
type level struct{ column, keys int }

func (n *nesting) enter(t *token.Token) error {
	defer func() { n.last = t }()
	if t.Type == token.CommentType {
		return nil
	}
	n.property(t)
	keys := 0
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		n.flows = append(n.flows, 0)
	case token.MappingEndType, token.SequenceEndType:
		n.flows = n.flows[:max(0, len(n.flows)-1)]
	case token.SequenceEntryType:
		if len(n.flows) == 0 {
			n.at(t.Position.Column)
		}
	case token.MappingValueType, token.MappingKeyType:
		if len(n.flows) > 0 {
			n.flows[len(n.flows)-1]++
			keys = n.flows[len(n.flows)-1]
			break
		}
		block := n.at(n.keyColumn(t))
		block.keys++
		keys = block.keys
	}
	switch {
	case len(n.blocks)+len(n.flows)+n.properties > deepestYAML:
		return tooDeep(t.Position.Line)
	case keys > mostKeys:
		return &BoundError{t.Position.Line, fmt.Sprintf("a mapping may have at most %d keys", mostKeys)}
	}
	return nil
}

func (n *nesting) property(t *token.Token) {
	switch {
	case t.Type == token.AnchorType:
		n.properties++
		n.named = true
	case t.Type == token.TagType:
		n.properties++
	case n.named:
		n.named = false
	default:
		n.properties = 0
	}
}

// at is the block of a column; those to the right of it have ended.
func (n *nesting) at(column int) *level {
	for len(n.blocks) > 0 && n.blocks[len(n.blocks)-1].column > column {
		n.blocks = n.blocks[:len(n.blocks)-1]
	}
	if len(n.blocks) == 0 || n.blocks[len(n.blocks)-1].column < column {
		n.blocks = append(n.blocks, level{column: column})
	}
	return &n.blocks[len(n.blocks)-1]
}

// keyColumn is where the key before a colon begins. A question mark is a key's beginning itself.
func (n *nesting) keyColumn(t *token.Token) int {
	if t.Type == token.MappingValueType && n.last != nil && n.last.Position.Line == t.Position.Line {
		return n.last.Position.Column
	}
	return t.Position.Column
}

// aliases adds up what aliases stand for. The tree does not hold it: an alias is a name there.
type aliases struct {
	sizes map[string]int // of anchors; open ones are -1
	sum   int
	err   error
}

// size is what a node is when its aliases are written out.
func (a *aliases) size(node ast.Node) int {
	if a.err != nil || node == nil || node.GetToken() == nil {
		return 0
	}
	switch n := node.(type) {
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		a.sizes[name] = -1
		size := a.size(n.Value)
		a.sizes[name] = size
		return size
	case *ast.AliasNode:
		return a.alias(n)
	case *ast.TagNode:
		return a.size(n.Value)
	case *ast.MappingKeyNode:
		return a.size(n.Value)
	case *ast.MappingValueNode:
		return a.size(n.Key) + a.size(n.Value)
	case *ast.MappingNode:
		size := aliasedValue
		for _, v := range n.Values {
			size += a.size(v)
		}
		return size
	case *ast.SequenceNode:
		size := aliasedValue
		for _, v := range n.Values {
			size += a.size(v)
		}
		return size
	case *ast.LiteralNode:
		return a.size(n.Value)
	}
	return aliasedValue + len(node.GetToken().Value)
}

func (a *aliases) alias(n *ast.AliasNode) int {
	name := strings.TrimPrefix(n.Value.GetToken().Value, "*")
	size := a.sizes[name]
	line := n.Start.Position.Line
	if size < 0 {
		a.err = &BoundError{line, "an alias may not stand in what it is an alias of"}
		return 0
	}
	if a.sum += size; a.sum > mostAliased {
		a.err = &BoundError{line, fmt.Sprintf("aliases may stand for at most %d bytes together", mostAliased)}
	}
	return size
}
