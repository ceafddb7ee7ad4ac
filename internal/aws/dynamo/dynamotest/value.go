package dynamotest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// invalid is the service's answer to a request that no table would take.
func invalid(format string, arguments ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, arguments...), Fault: smithy.FaultClient}
}

// compare applies a comparison or a function of two operands. Values of different types are different, and neither is the smaller.
func compare(op string, v []types.AttributeValue) (bool, error) {
	if len(v) < 2 {
		return false, invalid("%s of %d operands", op, len(v))
	}
	switch op {
	case "=":
		return equal(v[0], v[1]), nil
	case "<>":
		return !equal(v[0], v[1]), nil
	case "IN":
		return slices.ContainsFunc(v[1:], func(o types.AttributeValue) bool { return equal(v[0], o) }), nil
	case "BETWEEN":
		if c, ok := order(v[1], v[2]); !ok || c > 0 {
			return false, invalid("BETWEEN: the lower bound is over the upper one")
		}
		low, ok := order(v[0], v[1])
		high, _ := order(v[0], v[2])
		return ok && low >= 0 && high <= 0, nil
	case "begins_with":
		return strings.HasPrefix(textOf(v[0]), textOf(v[1])), nil
	case "contains":
		return strings.Contains(textOf(v[0]), textOf(v[1])), nil
	}
	c, ok := order(v[0], v[1])
	switch op {
	case "<":
		return ok && c < 0, nil
	case "<=":
		return ok && c <= 0, nil
	case ">":
		return ok && c > 0, nil
	case ">=":
		return ok && c >= 0, nil
	}
	return false, invalid("unknown function %s", op)
}

// order compares two strings, numbers or binaries.
func order(a, b types.AttributeValue) (int, bool) {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		if b, ok := b.(*types.AttributeValueMemberS); ok {
			return strings.Compare(a.Value, b.Value), true
		}
	case *types.AttributeValueMemberN:
		if b, ok := b.(*types.AttributeValueMemberN); ok {
			if len(a.Value) == len(b.Value) && a.Value[0] != '-' && b.Value[0] != '-' { // whole numbers, as a rule milliseconds
				return strings.Compare(a.Value, b.Value), true
			}
			return cmp.Compare(numeric(a.Value), numeric(b.Value)), true
		}
	case *types.AttributeValueMemberB:
		if b, ok := b.(*types.AttributeValueMemberB); ok {
			return bytes.Compare(a.Value, b.Value), true
		}
	}
	return 0, false
}

func equal(a, b types.AttributeValue) bool {
	if c, ok := order(a, b); ok {
		return c == 0
	}
	switch a := a.(type) {
	case *types.AttributeValueMemberBOOL:
		b, ok := b.(*types.AttributeValueMemberBOOL)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberNULL:
		_, ok := b.(*types.AttributeValueMemberNULL)
		return ok
	case *types.AttributeValueMemberL:
		b, ok := b.(*types.AttributeValueMemberL)
		return ok && slices.EqualFunc(a.Value, b.Value, equal)
	case *types.AttributeValueMemberM:
		b, ok := b.(*types.AttributeValueMemberM)
		return ok && maps.EqualFunc(a.Value, b.Value, equal)
	case *types.AttributeValueMemberSS:
		b, ok := b.(*types.AttributeValueMemberSS)
		return ok && slices.Equal(slices.Sorted(slices.Values(a.Value)), slices.Sorted(slices.Values(b.Value)))
	}
	return false
}

// numeric reads a number. Those of the tables are whole and below 2^53.
func numeric(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return f
}

func textOf(v types.AttributeValue) string {
	s, ok := v.(*types.AttributeValueMemberS)
	if !ok {
		return ""
	}
	return s.Value
}

func size(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberL:
		return len(v.Value)
	case *types.AttributeValueMemberM:
		return len(v.Value)
	}
	return 0
}

// refusal is the service's answer to a write whose condition is false. It holds the item as it is, if the request asked for it.
func refusal(show types.ReturnValuesOnConditionCheckFailure, item Item) error {
	e := &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
	if show == types.ReturnValuesOnConditionCheckFailureAllOld {
		e.Item = maps.Clone(item)
	}
	return e
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Text is an attribute's text, "" if it has none.
func Text(i Item, name string) string { return textOf(i[name]) }
