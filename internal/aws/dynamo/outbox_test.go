package dynamo

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestOvertaken tells a write that another one forestalled, which is to be made anew on what is there now, from one that failed.
func TestOvertaken(t *testing.T) {
	cancelled := func(codes ...string) error {
		e := &types.TransactionCanceledException{}
		for _, c := range codes {
			e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(c)})
		}
		return e
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"its condition":                    {&types.ConditionalCheckFailedException{}, true},
		"a transaction is under way":       {&types.TransactionConflictException{}, true},
		"the condition of its transaction": {cancelled(conditionFailed, "None"), true},
		"two transactions met":             {cancelled("None", "TransactionConflict"), true},
		"too many writes":                  {cancelled("ThrottlingError", "None"), false},
		"no answer":                        {errors.New("EOF"), false},
	} {
		if got := errors.Is(changed(c.err, "put"), directory.ErrChanged); got != c.want {
			t.Errorf("%s: overtaken is %v, want %v", name, got, c.want)
		}
	}
}
