package dynamotest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func text(s string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: s} }
func number(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }

// same compares items and changes.
func same() cmp.Options {
	return cmp.Options{
		cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Change{}, "keys"),
	}
}

// clock is a clock that is moved by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func noon() *clock { return &clock{time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)} }

// one is a client of a table things with the index by_color.
func one(c *clock) Client {
	t := &Tables{Now: c.now}
	t.Create(Schema{Name: "things", Partition: "pk", Sort: "sk", TTL: "ttl", Streams: func(Change) bool { return true },
		Indexes: []Index{{Name: "by_color", Partition: "color", Sort: "size", Includes: []string{"note"}}}})
	return Client{Tables: t}
}

func put(t *testing.T, c Client, i Item) {
	t.Helper()
	if _, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("things"), Item: i}); err != nil {
		t.Fatal(err)
	}
}

func thing(sk, size, color string) Item {
	i := Item{"pk": text("a"), "sk": text(sk)}
	if size != "" {
		i["size"] = number(size)
	}
	if color != "" {
		i["color"] = text(color)
	}
	return i
}

func TestConditions(t *testing.T) {
	values := Item{":a": text("apple"), ":b": text("berry"), ":1": number("1"), ":10": number("10"), ":9": number("9"), ":t": &types.AttributeValueMemberBOOL{Value: true}}
	item := Item{"name": text("apple"), "n": number("9"), "yes": &types.AttributeValueMemberBOOL{Value: true}, "other": text("berry")}
	for condition, want := range map[string]bool{
		"#name = :a":                          true,
		"#name <> :a":                         false,
		"n < :10":                             true, // numbers, not texts
		"n >= :9 AND n <= :9":                 true,
		"n BETWEEN :1 AND :10":                true,
		"n BETWEEN :10 AND :10":               false,
		"n IN (:1, :9)":                       true,
		"attribute_exists(n)":                 true,
		"attribute_not_exists(pk)":            true,
		"NOT attribute_exists(n) OR yes = :t": true,
		"(n = :1 OR n = :9) AND #name = :a":   true,
		"n = :1 OR n = :9 AND #name = :b":     false,
		"begins_with(#name, :a)":              true,
		"contains(#name, :b)":                 false,
		"size(#name) > :1":                    true,
		"missing = :a":                        false,
		"missing < :a":                        false,
		"#name < :10":                         false, // of another type
		"#name = other":                       false,
	} {
		var tables Tables
		n, err := tables.condition(condition)
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		got, err := substitutes{names: map[string]string{"#name": "name"}, values: values}.holds(n, item)
		if err != nil || got != want {
			t.Errorf("%s: %v (%v), want %v", condition, got, err, want)
		}
	}
}

func TestConditionsThatAreRefused(t *testing.T) {
	for _, condition := range []string{"", "n", "n =", "n = :1 AND", "(n = :1", "n BETWEEN :10 AND :1", "unknown(n)", "n = :missing", "#missing = :1", "n = :1 n = :1"} {
		var tables Tables
		n, err := tables.condition(condition)
		if err == nil {
			_, err = substitutes{values: Item{":1": number("1"), ":10": number("10")}}.holds(n, Item{"n": number("9")})
		}
		if err == nil {
			t.Errorf("%q was taken", condition)
		}
	}
}

func TestUpdates(t *testing.T) {
	for expression, want := range map[string]Item{
		"SET n = :2, #note = :x REMOVE size": {"pk": text("a"), "sk": text("1"), "n": number("2"), "note": text("x")},
		"SET size = size + :2":               {"pk": text("a"), "sk": text("1"), "size": number("5")},
		"SET size = if_not_exists(size, :2)": {"pk": text("a"), "sk": text("1"), "size": number("3")},
		"ADD size :2, n :2":                  {"pk": text("a"), "sk": text("1"), "size": number("5"), "n": number("2")},
	} {
		c := one(noon())
		put(t, c, thing("1", "3", ""))
		out, err := c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("things"), Key: thing("1", "", ""), UpdateExpression: &expression, ReturnValues: types.ReturnValueAllNew,
			ExpressionAttributeNames: map[string]string{"#note": "note"}, ExpressionAttributeValues: Item{":2": number("2"), ":x": text("x")},
		})
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if diff := cmp.Diff(want, out.Attributes, same()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expression, diff)
		}
	}
}

// sizes reads the index as it is now.
func sizes(t *testing.T, c Client, color string) (list []string) {
	t.Helper()
	pages := dynamodb.NewQueryPaginator(c, &dynamodb.QueryInput{
		TableName: aws.String("things"), IndexName: aws.String("by_color"), KeyConditionExpression: aws.String("color = :c AND size >= :least"), Limit: aws.Int32(2),
		ExpressionAttributeValues: Item{":c": text(color), ":least": number("2")},
	})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range out.Items {
			if i["secret"] != nil {
				t.Error("the index shows what it does not hold")
			}
			v, _ := i["size"].(*types.AttributeValueMemberN)
			list = append(list, v.Value)
		}
	}
	return list
}

// TestAnIndexIsLate: it shows a write some time later, each item's in their order, and nothing that is not committed.
func TestAnIndexIsLate(t *testing.T) {
	at := noon()
	c := one(at)
	lag := 10 * time.Second
	c.Tables.IndexLag = func(string, string, string) time.Duration { return lag }
	for _, size := range []string{"1", "2", "10", "9", "30"} { // 1 is under the least; numbers are not in the order of their texts
		i := thing(size, size, "red")
		i["secret"] = text("s")
		put(t, c, i)
	}
	if got := sizes(t, c, "red"); got != nil {
		t.Errorf("at once: %v", got)
	}
	at.at = at.at.Add(lag)
	if diff := cmp.Diff([]string{"2", "9", "10", "30"}, sizes(t, c, "red")); diff != "" {
		t.Errorf("ten seconds later (-want +got):\n%s", diff)
	}
	put(t, c, thing("10", "10", "blue"))
	lag = time.Second
	put(t, c, thing("10", "11", "blue")) // its index entry cannot overtake the one before
	at.at = at.at.Add(5 * time.Second)
	if diff := cmp.Diff([]string{"2", "9", "10", "30"}, sizes(t, c, "red")); diff != "" || sizes(t, c, "blue") != nil {
		t.Errorf("while the index is behind (-want +got):\n%s", diff)
	}
	at.at = at.at.Add(5 * time.Second)
	if diff := cmp.Diff([][]string{{"2", "9", "30"}, {"11"}}, [][]string{sizes(t, c, "red"), sizes(t, c, "blue")}); diff != "" {
		t.Errorf("when it has caught up (-want +got):\n%s", diff)
	}
	if c.Tables.Empty("things", "by_color", "red") || !c.Tables.Empty("things", "by_color", "green") || !c.Tables.Any("things", "by_color") {
		t.Error("the index counts wrongly")
	}
}

func TestAReadMayBeOld(t *testing.T) {
	at := noon()
	c := one(at)
	c.Tables.ReadLag = func(string, string) time.Duration { return 2 * time.Second }
	put(t, c, thing("1", "1", ""))
	at.at = at.at.Add(time.Minute)
	put(t, c, thing("1", "2", ""))
	at.at = at.at.Add(time.Second)
	for consistent, want := range map[bool]string{true: "2", false: "1"} {
		out, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("things"), Key: thing("1", "", ""), ConsistentRead: &consistent})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(thing("1", want, ""), out.Item, same()); diff != "" {
			t.Errorf("consistent %v (-want +got):\n%s", consistent, diff)
		}
	}
}

// TestATokenMakesARepetitionHarmless, of a transaction; without it the repetition is refused by what the first one wrote.
func TestATokenMakesARepetitionHarmless(t *testing.T) {
	c := one(noon())
	request := func(size string, token *string) *dynamodb.TransactWriteItemsInput {
		return &dynamodb.TransactWriteItemsInput{ClientRequestToken: token, TransactItems: []types.TransactWriteItem{{Put: &types.Put{
			TableName: aws.String("things"), Item: thing("1", size, ""), ConditionExpression: aws.String("attribute_not_exists(pk)"),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}}}}
	}
	for range 2 {
		if _, err := c.TransactWriteItems(t.Context(), request("1", aws.String("token"))); err != nil {
			t.Errorf("with the token: %v", err)
		}
	}
	_, err := c.TransactWriteItems(t.Context(), request("1", nil))
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok || *cancelled.CancellationReasons[0].Code != "ConditionalCheckFailed" || cancelled.CancellationReasons[0].Item == nil {
		t.Errorf("without it: %v", err)
	}
	_, err = c.TransactWriteItems(t.Context(), request("2", aws.String("token")))
	if _, ok := errors.AsType[*types.IdempotentParameterMismatchException](err); !ok {
		t.Errorf("with the token of another request: %v", err)
	}
}

func TestAThrottledPartitionLeavesItemsOut(t *testing.T) {
	c := one(noon())
	c.Throttled = func(partition string) bool { return partition == "things b" }
	other := Item{"pk": text("b"), "sk": text("1")}
	out, err := c.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
		"things": {{PutRequest: &types.PutRequest{Item: thing("1", "", "")}}, {PutRequest: &types.PutRequest{Item: other}}},
	}})
	if err != nil || len(out.UnprocessedItems["things"]) != 1 || len(c.Tables.Items("things")) != 1 {
		t.Errorf("%v left out, %v stored (%v)", out.UnprocessedItems, c.Tables.Items("things"), err)
	}
}

func TestTheStreamTellsEachChangeOnce(t *testing.T) {
	at := noon()
	c := one(at)
	first := thing("1", "1", "")
	first["ttl"] = number("1")
	put(t, c, first)
	put(t, c, thing("2", "2", ""))
	if _, err := c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("things"), Key: thing("2", "", "")}); err != nil {
		t.Fatal(err)
	}
	c.Tables.RemoveExpired("things", at.at)
	changes := c.Tables.Changes("things", "", at.at.Add(time.Second), 10)
	want := []Change{
		{Sequence: changes[0].Sequence, At: at.at, After: first},
		{Sequence: changes[1].Sequence, At: at.at, After: thing("2", "2", "")},
		{Sequence: changes[2].Sequence, At: at.at, Before: thing("2", "2", "")},
		{Sequence: changes[3].Sequence, At: at.at, Before: first, ByTTL: true},
	}
	if diff := cmp.Diff(want, changes, same()); diff != "" {
		t.Errorf("the stream (-want +got):\n%s", diff)
	}
	event := Event(changes)
	var names []string
	for _, r := range event.Records {
		names = append(names, r.EventName)
	}
	if diff := cmp.Diff([]string{"INSERT", "INSERT", "REMOVE", "REMOVE"}, names); diff != "" || event.Records[3].UserIdentity == nil {
		t.Errorf("as a function gets it (-want +got):\n%s", diff)
	}
	if rest := c.Tables.Changes("things", changes[1].Sequence, at.at.Add(time.Second), 1); len(rest) != 1 || rest[0].Sequence != changes[2].Sequence {
		t.Errorf("after the second comes %v", rest)
	}
}

func TestRequestsThatNoTableTakes(t *testing.T) {
	c := one(noon())
	twice := []types.WriteRequest{{PutRequest: &types.PutRequest{Item: thing("1", "", "")}}, {DeleteRequest: &types.DeleteRequest{Key: thing("1", "", "")}}}
	for name, call := range map[string]func(ctx context.Context) error{
		"an empty key": func(ctx context.Context) error {
			_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("things"), Item: thing("", "", "")})
			return err
		},
		"an empty key of an index": func(ctx context.Context) error {
			i := thing("1", "", "")
			i["color"] = text("")
			_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("things"), Item: i})
			return err
		},
		"a batch with a key twice": func(ctx context.Context) error {
			_, err := c.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"things": twice}})
			return err
		},
		"a consistent read of an index": func(ctx context.Context) error {
			_, err := c.Query(ctx, &dynamodb.QueryInput{TableName: aws.String("things"), IndexName: aws.String("by_color"), ConsistentRead: aws.Bool(true)})
			return err
		},
		"no such table": func(ctx context.Context) error {
			_, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("nothing"), Key: thing("1", "", "")})
			return err
		},
	} {
		if call(t.Context()) == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if n := len(c.Tables.Items("things")); n != 0 {
		t.Errorf("%d items were stored", n)
	}
}
