package dynamotest

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// node is a part of an expression.
type node struct {
	// op is an operator or a function; "name" and "value" are operands, whose text is in text.
	op    string
	text  string
	parts []*node
}

// names and values are what an expression's placeholders stand for.
type substitutes struct {
	names  map[string]string
	values Item
}

// condition parses a condition, a filter or a key condition. The tables are locked.
func (t *Tables) condition(text string) (*node, error) {
	return t.parsed("C "+text, func(p *parser) (*node, error) { return p.or() })
}

// parsed parses a text once and keeps what came of it.
func (t *Tables) parsed(text string, parse func(*parser) (*node, error)) (*node, error) {
	if n := t.expressions[text]; n != nil {
		return n, nil
	}
	p := &parser{tokens: tokenize(text[len("C "):])}
	n, err := parse(p)
	if err == nil && p.peek() != "" {
		err = invalid("unexpected %q in the expression %q", p.peek(), text)
	}
	if err != nil {
		return nil, err
	}
	if t.expressions == nil {
		t.expressions = make(map[string]*node)
	}
	t.expressions[text] = n
	return n, nil
}

// parser is a recursive descent over the grammar of expressions.
type parser struct {
	tokens []string
	at     int
}

func tokenize(text string) []string {
	var tokens []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\n' || c == '\t':
			i++
		case strings.ContainsRune("(),+-", rune(c)):
			tokens = append(tokens, string(c))
			i++
		case c == '=' || c == '<' || c == '>':
			n := 1
			if i+1 < len(text) && (text[i:i+2] == "<=" || text[i:i+2] == ">=" || text[i:i+2] == "<>") {
				n = 2
			}
			tokens = append(tokens, text[i:i+n])
			i += n
		default:
			end := i
			for end < len(text) && !strings.ContainsRune(" \n\t(),+-=<>", rune(text[end])) {
				end++
			}
			tokens = append(tokens, text[i:end])
			i = end
		}
	}
	return tokens
}

func (p *parser) peek() string {
	if p.at >= len(p.tokens) {
		return ""
	}
	return p.tokens[p.at]
}

func (p *parser) next() string {
	token := p.peek()
	p.at++
	return token
}

// take moves on if the next token is that word.
func (p *parser) take(word string) bool {
	if strings.EqualFold(p.peek(), word) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(word string) error {
	if !p.take(word) {
		return invalid("%q where %q was expected", p.peek(), word)
	}
	return nil
}

func (p *parser) or() (*node, error)  { return p.joined("OR", p.and) }
func (p *parser) and() (*node, error) { return p.joined("AND", p.not) }

func (p *parser) joined(word string, part func() (*node, error)) (*node, error) {
	left, err := part()
	for err == nil && p.take(word) {
		var right *node
		right, err = part()
		left = &node{op: word, parts: []*node{left, right}}
	}
	return left, err
}

func (p *parser) not() (*node, error) {
	if p.take("NOT") {
		part, err := p.not()
		return &node{op: "NOT", parts: []*node{part}}, err
	}
	return p.comparison()
}

func (p *parser) comparison() (*node, error) {
	if p.take("(") {
		inner, err := p.or()
		if err == nil {
			err = p.expect(")")
		}
		return inner, err
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch op := p.peek(); {
	case p.take("BETWEEN"):
		low, err := p.operand()
		if err == nil {
			err = p.expect("AND")
		}
		if err != nil {
			return nil, err
		}
		high, err := p.operand()
		return &node{op: "BETWEEN", parts: []*node{left, low, high}}, err
	case p.take("IN"):
		list, err := p.list()
		return &node{op: "IN", parts: append([]*node{left}, list...)}, err
	case strings.ContainsAny(op, "=<>"):
		p.next()
		right, err := p.operand()
		return &node{op: op, parts: []*node{left, right}}, err
	}
	if left.op == "name" || left.op == "value" {
		return nil, invalid("%q stands alone in a condition", left.text)
	}
	return left, nil
}

// operand is a name, a value or a function's answer.
func (p *parser) operand() (*node, error) {
	token := p.next()
	switch {
	case token == "" || strings.ContainsAny(token, "(),=<>+-"):
		return nil, invalid("an operand was expected, not %q", token)
	case token[0] == ':':
		return &node{op: "value", text: token}, nil
	case p.peek() == "(":
		parts, err := p.list()
		return &node{op: token, parts: parts}, err
	}
	return &node{op: "name", text: token}, nil
}

// list is operands in parentheses.
func (p *parser) list() ([]*node, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var parts []*node
	for {
		part, err := p.operand()
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if !p.take(",") {
			return parts, p.expect(")")
		}
	}
}

// name is the attribute that a node names.
func (s substitutes) name(n *node) (string, error) {
	if n.op != "name" {
		return "", invalid("%q is no attribute's name", n.text)
	}
	if !strings.HasPrefix(n.text, "#") {
		return n.text, nil
	}
	name, ok := s.names[n.text]
	if !ok {
		return "", invalid("the placeholder %s stands for nothing", n.text)
	}
	return name, nil
}

// value is what an operand is worth for an item; nil for an attribute that it has not.
func (s substitutes) value(n *node, i Item) (types.AttributeValue, error) {
	switch n.op {
	case "value":
		v, ok := s.values[n.text]
		if !ok {
			return nil, invalid("the placeholder %s stands for nothing", n.text)
		}
		return v, nil
	case "name":
		name, err := s.name(n)
		return i[name], err
	case "size":
		v, err := s.value(n.parts[0], i)
		return &types.AttributeValueMemberN{Value: fmt.Sprint(size(v))}, err
	}
	return nil, invalid("unknown function %s", n.op)
}

// holds says whether a condition is true of an item; nil is no item.
func (s substitutes) holds(n *node, i Item) (bool, error) {
	switch n.op {
	case "AND", "OR":
		left, err := s.holds(n.parts[0], i)
		if err != nil {
			return false, err
		}
		right, err := s.holds(n.parts[1], i)
		if n.op == "AND" {
			return left && right, err
		}
		return left || right, err
	case "NOT":
		inner, err := s.holds(n.parts[0], i)
		return !inner, err
	case "attribute_exists", "attribute_not_exists":
		name, err := s.name(n.parts[0])
		return (i[name] != nil) == (n.op == "attribute_exists"), err
	}
	var operands []types.AttributeValue
	for _, p := range n.parts {
		v, err := s.value(p, i)
		if err != nil {
			return false, err
		}
		operands = append(operands, v)
	}
	return compare(n.op, operands)
}
