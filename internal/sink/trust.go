package sink

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// CheckTrust says whether the customer's side of a destination keeps out others who name the same settings. The role of an
// S3 destination must not be to be had without the external id, since its workspace's is then not what lets this system in:
// AWS advises to try it and not to keep a role that can be assumed so ("Access to AWS accounts owned by third parties", IAM
// User Guide). Of other destinations there is nothing to check. The error is a *failure.Error.
//
// The caller's own policy must allow sts:AssumeRole without a condition on the external id: otherwise every role would
// seem to refuse.
func (f *Factory) CheckTrust(ctx context.Context, d directory.Destination) error {
	if d.Kind != directory.S3 {
		return nil
	}
	var s s3Settings
	if err := decode("settings", d.Settings, &s); err != nil {
		return configInvalid(err)
	}
	if s.RoleARN == "" {
		return nil
	}
	if err := s.check(environment{network: f.Network}); err != nil {
		return configInvalid(err)
	}
	ctx, cancel := context.WithTimeout(ctx, stsTimeout)
	defer cancel()
	tokens, err := (&systemAccount{open: f.Account}).tokens(ctx, s.Region)
	if err != nil {
		return classifyRole(&roleError{err}, discretion{}, f.Now())
	}
	_, err = tokens.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: &s.RoleARN, RoleSessionName: aws.String(sessionName(d.ID)), DurationSeconds: aws.Int32(shortestSession),
	})
	if err == nil {
		return &failure.Error{Code: failure.S3RoleOpen, Detail: "the role was assumed without the external id"}
	}
	if !denied(err) {
		return classifyRole(&roleError{err}, discretion{}, f.Now())
	}
	return nil
}

// shortestSession is the least that STS allows, in seconds.
const shortestSession = 900

// denied says whether STS refused to let the role be assumed, as it does when a condition of its trust policy is not met.
func denied(err error) bool {
	_, _, native, _ := awsAnswer(err)
	return native == "AccessDenied" || native == "AccessDeniedException"
}
