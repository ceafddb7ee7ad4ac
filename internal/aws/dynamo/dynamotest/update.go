package dynamotest

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update parses an update expression into one node for each of its actions. The tables are locked.
func (t *Tables) update(text string) (*node, error) {
	return t.parsed("U "+text, func(p *parser) (*node, error) {
		all := &node{op: "update"}
		for p.peek() != "" {
			clause := strings.ToUpper(p.next())
			for {
				action, err := p.action(clause)
				if err != nil {
					return nil, err
				}
				all.parts = append(all.parts, action)
				if !p.take(",") {
					break
				}
			}
		}
		return all, nil
	})
}

func (p *parser) action(clause string) (*node, error) {
	name, err := p.operand()
	if err != nil {
		return nil, err
	}
	n := &node{op: clause, parts: []*node{name}}
	switch clause {
	case "REMOVE":
		return n, nil
	case "SET":
		if err := p.expect("="); err != nil {
			return nil, err
		}
		value, err := p.sum()
		n.parts = append(n.parts, value)
		return n, err
	case "ADD", "DELETE":
		value, err := p.operand()
		n.parts = append(n.parts, value)
		return n, err
	}
	return nil, invalid("unknown clause %s", clause)
}

// sum is an operand, or two with a sign between them.
func (p *parser) sum() (*node, error) {
	left, err := p.operand()
	if err != nil || p.peek() != "+" && p.peek() != "-" {
		return left, err
	}
	op := p.next()
	right, err := p.operand()
	return &node{op: op, parts: []*node{left, right}}, err
}

// apply gives the item after an update, and the names of the attributes that it touched.
func (s substitutes) apply(n *node, item Item) (Item, []string, error) {
	next := maps.Clone(item)
	var touched []string
	for _, action := range n.parts {
		name, err := s.name(action.parts[0])
		if err != nil {
			return nil, nil, err
		}
		touched = append(touched, name)
		if action.op == "REMOVE" {
			delete(next, name)
			continue
		}
		value, err := s.assigned(action.parts[1], item)
		if err != nil {
			return nil, nil, err
		}
		if action.op == "ADD" {
			value, err = added(item[name], value)
		}
		if action.op == "DELETE" {
			if value, err = without(item[name], value); value == nil && err == nil {
				delete(next, name)
				continue
			}
		}
		if value == nil && err == nil {
			err = invalid("the attribute that %s is set to is not there", name)
		}
		if err != nil {
			return nil, nil, err
		}
		next[name] = value
	}
	return next, touched, nil
}

// assigned is the right side of SET.
func (s substitutes) assigned(n *node, item Item) (types.AttributeValue, error) {
	switch n.op {
	case "if_not_exists":
		name, err := s.name(n.parts[0])
		if err != nil || item[name] != nil {
			return item[name], err
		}
		return s.assigned(n.parts[1], item)
	case "+", "-":
		left, err := s.assigned(n.parts[0], item)
		if err != nil {
			return nil, err
		}
		right, err := s.assigned(n.parts[1], item)
		if err != nil {
			return nil, err
		}
		return sum(left, right, n.op)
	}
	return s.value(n, item)
}

// added is what ADD makes of an attribute, which may not be there.
func added(to, value types.AttributeValue) (types.AttributeValue, error) {
	if set, ok := value.(*types.AttributeValueMemberSS); ok {
		all := make(map[string]bool)
		if old, ok := to.(*types.AttributeValueMemberSS); ok {
			for _, s := range old.Value {
				all[s] = true
			}
		}
		for _, s := range set.Value {
			all[s] = true
		}
		return &types.AttributeValueMemberSS{Value: sortedKeys(all)}, nil
	}
	if to == nil {
		to = &types.AttributeValueMemberN{Value: "0"}
	}
	return sum(to, value, "+")
}

// without is what DELETE leaves of a set, nil if that is nothing: a set is never empty.
func without(from, value types.AttributeValue) (types.AttributeValue, error) {
	out, ok := value.(*types.AttributeValueMemberSS)
	if !ok {
		return nil, invalid("DELETE takes members out of sets only")
	}
	old, ok := from.(*types.AttributeValueMemberSS)
	if !ok {
		return nil, nil
	}
	left := slices.DeleteFunc(slices.Clone(old.Value), func(s string) bool { return slices.Contains(out.Value, s) })
	if len(left) == 0 {
		return nil, nil
	}
	return &types.AttributeValueMemberSS{Value: left}, nil
}

func sum(a, b types.AttributeValue, op string) (types.AttributeValue, error) {
	left, ok := a.(*types.AttributeValueMemberN)
	right, ok2 := b.(*types.AttributeValueMemberN)
	if !ok || !ok2 {
		return nil, invalid("an operand of %s is no number", op)
	}
	n := numeric(left.Value) + numeric(right.Value)
	if op == "-" {
		n = numeric(left.Value) - numeric(right.Value)
	}
	return &types.AttributeValueMemberN{Value: strconv.FormatFloat(n, 'f', -1, 64)}, nil
}

// returned is what an update answers of the item before and after it.
func returned(want types.ReturnValue, before, after Item, touched []string) Item {
	switch want {
	case types.ReturnValueAllOld:
		return maps.Clone(before)
	case types.ReturnValueAllNew:
		return maps.Clone(after)
	case types.ReturnValueUpdatedOld:
		return only(before, touched)
	case types.ReturnValueUpdatedNew:
		return only(after, touched)
	}
	return nil
}

// only is the item with those attributes alone.
func only(i Item, names []string) Item {
	if i == nil {
		return nil
	}
	some := make(Item, len(names))
	for _, name := range names {
		if i[name] != nil {
			some[name] = i[name]
		}
	}
	return some
}
