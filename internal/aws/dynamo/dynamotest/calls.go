package dynamotest

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	writesACall       = 25
	readsACall        = 100
	writesATransact   = 100
	conditionFailed   = "ConditionalCheckFailed"
	unconditionalPart = "None"
)

// open gives a table, which must be locked.
func (t *Tables) open(name *string) (*table, error) {
	tab := t.tables[aws.ToString(name)]
	if tab == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("no table " + aws.ToString(name))}
	}
	return tab, nil
}

// check holds an item against a condition, if there is one.
func (t *Tables) check(condition *string, s substitutes, item Item) (bool, error) {
	if condition == nil {
		return true, nil
	}
	n, err := t.condition(*condition)
	if err != nil {
		return false, err
	}
	return s.holds(n, item)
}

// change is one write of one item: exactly one of its last three fields is set.
type change struct {
	table     *string
	condition *string
	substitutes
	show   types.ReturnValuesOnConditionCheckFailure
	put    Item
	key    Item    // of a delete, an update and a check
	update *string // nil: a delete, or if checked is true nothing
	check  bool
}

// planned is a change that may be made.
type planned struct {
	tab           *table
	key           string
	before, after Item
	touched       []string
	refused       error // the condition is false
}

// plan says what a change would do. The tables are locked.
func (t *Tables) plan(c change) (p planned, err error) {
	if p.tab, err = t.open(c.table); err != nil {
		return p, err
	}
	key := c.key
	if c.put != nil {
		key = c.put
	}
	if p.key, _, err = p.tab.keyOf(key); err != nil {
		return p, err
	}
	p.before = now(p.tab.rows[p.key])
	ok, err := t.check(c.condition, c.substitutes, p.before)
	if err != nil {
		return p, err
	}
	if !ok {
		p.refused = refusal(c.show, p.before)
		return p, nil
	}
	switch {
	case c.put != nil:
		p.after = maps.Clone(c.put)
	case c.check:
		p.after = p.before
	case c.update != nil:
		n, err := t.update(*c.update)
		if err != nil {
			return p, err
		}
		from := p.before
		if from == nil {
			from = c.key
		}
		if p.after, p.touched, err = c.apply(n, from); err != nil {
			return p, err
		}
	}
	return p, p.tab.valid(p.after)
}

// valid refuses an item whose attributes cannot be keys of the indexes that they are keys of.
func (t *table) valid(i Item) error {
	if i == nil {
		return nil
	}
	for _, x := range t.Indexes {
		for _, name := range []string{x.Partition, x.Sort} {
			if i[name] == nil {
				continue
			}
			if _, err := keyText(i, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// make does a planned change. The item that it removes is named by the item itself.
func (t *Tables) make(c change, p planned) {
	if c.check {
		return
	}
	key := c.key
	if c.put != nil {
		key = c.put
	}
	t.write(p.tab, key, p.after, false)
}

func (t *Tables) one(c change) (planned, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.plan(c)
	if err == nil {
		err = p.refused
	}
	if err != nil {
		return p, err
	}
	t.make(c, p)
	return p, nil
}

func (t *Tables) putItem(in *dynamodb.PutItemInput) (*dynamodb.PutItemOutput, error) {
	p, err := t.one(change{
		table: in.TableName, condition: in.ConditionExpression, put: in.Item, show: in.ReturnValuesOnConditionCheckFailure,
		substitutes: substitutes{in.ExpressionAttributeNames, in.ExpressionAttributeValues},
	})
	if err != nil {
		return nil, err
	}
	return &dynamodb.PutItemOutput{Attributes: returned(in.ReturnValues, p.before, nil, nil)}, nil
}

func (t *Tables) deleteItem(in *dynamodb.DeleteItemInput) (*dynamodb.DeleteItemOutput, error) {
	p, err := t.one(change{
		table: in.TableName, condition: in.ConditionExpression, key: in.Key, show: in.ReturnValuesOnConditionCheckFailure,
		substitutes: substitutes{in.ExpressionAttributeNames, in.ExpressionAttributeValues},
	})
	if err != nil {
		return nil, err
	}
	return &dynamodb.DeleteItemOutput{Attributes: returned(in.ReturnValues, p.before, nil, nil)}, nil
}

func (t *Tables) updateItem(in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
	p, err := t.one(change{
		table: in.TableName, condition: in.ConditionExpression, key: in.Key, update: in.UpdateExpression, show: in.ReturnValuesOnConditionCheckFailure,
		substitutes: substitutes{in.ExpressionAttributeNames, in.ExpressionAttributeValues},
	})
	if err != nil {
		return nil, err
	}
	return &dynamodb.UpdateItemOutput{Attributes: returned(in.ReturnValues, p.before, p.after, p.touched)}, nil
}

func (t *Tables) getItem(in *dynamodb.GetItemInput) (*dynamodb.GetItemOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab, err := t.open(in.TableName)
	if err != nil {
		return nil, err
	}
	r, err := tab.find(in.Key)
	if err != nil || r == nil {
		return &dynamodb.GetItemOutput{}, err
	}
	item := t.seen(tab, r, aws.ToBool(in.ConsistentRead))
	return &dynamodb.GetItemOutput{Item: projected(item, projection(in.ProjectionExpression, in.ExpressionAttributeNames))}, nil
}

// seen is the item as a read of the table shows it.
func (t *Tables) seen(tab *table, r *row, consistent bool) Item {
	if consistent || t.ReadLag == nil {
		return r.current()
	}
	return r.asOf(t.Now().Add(-t.ReadLag(tab.Name, r.key)))
}

// projected is the part of an item that a projection names; nil names all.
func projected(i Item, wanted []string) Item {
	if wanted == nil || i == nil {
		return maps.Clone(i)
	}
	return only(i, wanted)
}

// projection gives the attributes that an expression names, nil for all.
func projection(expression *string, names map[string]string) (wanted []string) {
	if expression == nil {
		return nil
	}
	for name := range strings.SplitSeq(*expression, ",") {
		name = strings.TrimSpace(name)
		if full, ok := names[name]; ok {
			name = full
		}
		wanted = append(wanted, name)
	}
	return wanted
}

func (t *Tables) batchGet(in *dynamodb.BatchGetItemInput) (*dynamodb.BatchGetItemOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := &dynamodb.BatchGetItemOutput{Responses: make(map[string][]Item)}
	asked := make(map[string]bool)
	for name, keys := range in.RequestItems {
		tab, err := t.open(&name)
		if err != nil {
			return nil, err
		}
		wanted := projection(keys.ProjectionExpression, keys.ExpressionAttributeNames)
		for _, key := range keys.Keys {
			r, err := tab.find(key)
			if err != nil {
				return nil, err
			}
			if k, _, _ := tab.keyOf(key); asked[name+k] {
				return nil, invalid("a batch names the key %q twice", k)
			} else if asked[name+k] = true; len(asked) > readsACall {
				return nil, invalid("a batch reads over %d items", readsACall)
			}
			if r == nil {
				continue
			}
			if i := t.seen(tab, r, aws.ToBool(keys.ConsistentRead)); i != nil {
				out.Responses[name] = append(out.Responses[name], projected(i, wanted))
			}
		}
	}
	return out, nil
}

func (t *Tables) batchWrite(in *dynamodb.BatchWriteItemInput) (*dynamodb.BatchWriteItemOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var changes []change
	asked := make(map[string]bool)
	for _, name := range sortedKeys(in.RequestItems) {
		for _, r := range in.RequestItems[name] {
			c := change{table: &name}
			if r.PutRequest != nil {
				c.put = r.PutRequest.Item
			} else {
				c.key = r.DeleteRequest.Key
			}
			p, err := t.plan(c)
			if err != nil {
				return nil, err
			}
			if asked[name+p.key] {
				return nil, invalid("a batch writes the key %q twice", p.key)
			}
			asked[name+p.key] = true
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 || len(changes) > writesACall {
		return nil, invalid("a batch writes %d items, not 1 to %d", len(changes), writesACall)
	}
	for _, c := range changes {
		p, err := t.plan(c)
		if err != nil {
			return nil, err
		}
		t.make(c, p)
	}
	return &dynamodb.BatchWriteItemOutput{}, nil
}
