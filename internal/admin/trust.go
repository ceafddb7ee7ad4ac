package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// TrustPolicy is a trust policy of IAM, as far as one for a customer's role needs to be.
type TrustPolicy struct {
	Version   string           `json:"Version"`
	Statement []TrustStatement `json:"Statement" nullable:"false"`
}

// TrustStatement lets this system assume the role.
type TrustStatement struct {
	Effect    string         `json:"Effect"`
	Action    string         `json:"Action"`
	Principal TrustPrincipal `json:"Principal"`
	Condition TrustCondition `json:"Condition"`
}

// TrustPrincipal is the account of this system.
type TrustPrincipal struct {
	AWS string `json:"AWS"`
}

// TrustCondition bounds it to the roles that write, and to requests with the workspace's external id.
type TrustCondition struct {
	StringEquals map[string]string `json:"StringEquals"`
	ArnLike      map[string]string `json:"ArnLike"`
}

func (a *API) trustRoutes(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "get-trust-policy", Method: http.MethodGet, Path: "/v1/workspaces/{id}/trust-policy",
		Summary: "The trust policy for the roles of a workspace's S3 destinations", Tags: []string{"workspaces"}, Errors: []int{http.StatusNotFound},
		Description: "It is whole, with the account of this system and the external id of the workspace. `aws iam create-role` takes it as it is. " +
			"auditrelay local has no account and answers 404."}, a.trustPolicy)
}

func (a *API) trustPolicy(ctx context.Context, in *WorkspacePath) (*struct{ Body TrustPolicy }, error) {
	owner, err := a.getWorkspace(ctx, in)
	if err != nil {
		return nil, err
	}
	account, _, ok := strings.Cut(a.TrustedRoles, ":role/")
	switch {
	case !ok:
		return nil, problem(http.StatusNotFound, "this system has no AWS account of its own, so no role can trust it")
	case owner.Body.ExternalID == "":
		return nil, problem(http.StatusNotFound, "workspace %q has no external id yet; put it again, and it gets one", in.ID)
	}
	return &struct{ Body TrustPolicy }{trustPolicyOf(account+":root", a.TrustedRoles, owner.Body.ExternalID)}, nil
}

// trustPolicyOf is the policy by which a role trusts an account, as far as roles of a pattern ask, and with an
// external id.
func trustPolicyOf(account, roles, externalID string) TrustPolicy {
	return TrustPolicy{Version: "2012-10-17", Statement: []TrustStatement{{
		Effect: "Allow", Action: "sts:AssumeRole", Principal: TrustPrincipal{AWS: account},
		Condition: TrustCondition{
			StringEquals: map[string]string{"sts:ExternalId": externalID},
			ArnLike:      map[string]string{"aws:PrincipalArn": roles},
		},
	}}}
}
