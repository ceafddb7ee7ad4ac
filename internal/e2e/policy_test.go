//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// need is one thing that a call must be allowed: an action on a resource, with the condition keys that are known of the call.
type need struct {
	action   string
	resource string
	context  map[string][]string
}

func (n need) String() string { return n.action + " on " + n.resource }

// statement is one of a policy, resolved.
type statement struct {
	Effect    string
	Action    texts
	Resource  texts
	Condition map[string]map[string]texts
}

// texts is a text or a list of them, as IAM's documents have it.
type texts []string

// UnmarshalJSON takes both forms, and a truth value as its text.
func (l *texts) UnmarshalJSON(raw []byte) error {
	var one any
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	if list, ok := one.([]any); ok {
		for _, item := range list {
			*l = append(*l, fmt.Sprint(item))
		}
		return nil
	}
	*l = texts{fmt.Sprint(one)}
	return nil
}

// document reads a resolved policy document.
func document(resolved any) ([]statement, error) {
	text, err := json.Marshal(resolved)
	if err != nil {
		return nil, err
	}
	var doc struct{ Statement []statement }
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read a policy document: %w", err)
	}
	for _, s := range doc.Statement {
		if len(s.Action) == 0 || len(s.Resource) == 0 || s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("the check of grants knows statements with Effect, Action and Resource only, not %+v", s)
		}
	}
	return doc.Statement, nil
}

// allows says whether the statements allow what is needed: one does, and none denies it.
func allows(statements []statement, n need) (bool, error) {
	allowed := false
	for _, s := range statements {
		applies, err := s.applies(n)
		if err != nil {
			return false, err
		}
		if applies && s.Effect == "Deny" {
			return false, nil
		}
		allowed = allowed || applies
	}
	return allowed, nil
}

func (s statement) applies(n need) (bool, error) {
	action := func(pattern string) bool { return matches(strings.ToLower(pattern), strings.ToLower(n.action)) }
	resource := func(pattern string) bool { return matches(pattern, n.resource) }
	if !slices.ContainsFunc(s.Action, action) || !slices.ContainsFunc(s.Resource, resource) {
		return false, nil
	}
	for operator, keys := range s.Condition {
		for key, wanted := range keys {
			got, known := n.context[key]
			if !known && lenient(operator) {
				return false, fmt.Errorf("the check of grants does not know %s of the call", key)
			}
			met, err := condition(operator, got, wanted)
			if err != nil || !met {
				return false, err
			}
		}
	}
	return true, nil
}

// lenient says whether an operator is met by a key that a call does not have. For such a one the check must
// know whether the call has it.
func lenient(operator string) bool {
	return strings.HasPrefix(operator, "ForAllValues:") || strings.HasSuffix(operator, "IfExists")
}

// condition says whether a condition is met by the call's values of its key. A key that the call does not have meets only ForAllValues and
// IfExists.
func condition(operator string, got, wanted []string) (bool, error) {
	operator, forAll := strings.CutPrefix(operator, "ForAllValues:")
	operator, _ = strings.CutPrefix(operator, "ForAnyValue:")
	operator, ifExists := strings.CutSuffix(operator, "IfExists")
	var same func(pattern, value string) bool
	switch operator {
	case "StringEquals", "ArnEquals", "Bool":
		same = func(pattern, value string) bool { return pattern == value }
	case "StringEqualsIgnoreCase":
		same = strings.EqualFold
	case "StringLike", "ArnLike":
		same = matches
	default:
		return false, fmt.Errorf("the check of grants does not know the condition operator %s", operator)
	}
	if len(got) == 0 {
		return forAll || ifExists, nil
	}
	meets := func(value string) bool {
		return slices.ContainsFunc(wanted, func(pattern string) bool { return same(pattern, value) })
	}
	if forAll {
		return !slices.ContainsFunc(got, func(value string) bool { return !meets(value) }), nil
	}
	return slices.ContainsFunc(got, meets), nil
}

// matches compares with IAM's wildcards: * for any characters, ? for one.
func matches(pattern, text string) bool {
	p, s, star, mark := 0, 0, -1, 0
	for s < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, s
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[s]):
			p, s = p+1, s+1
		case star >= 0:
			mark++
			p, s = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
