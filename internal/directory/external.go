package directory

import (
	"crypto/rand"
	"errors"
	"regexp"
)

// NewExternalID makes the external id of a workspace, 130 random bits. Roles in customers' accounts trust this system under
// the condition of this id alone, and it goes along whenever such a role is assumed. So the role of one workspace is of no
// use to another that names it. It is no secret, but nobody can choose it.
func NewExternalID() string { return rand.Text() }

// externalIDForm is the form of the parameter ExternalId in the STS API Reference.
var externalIDForm = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]{2,1000}$`)

// CheckExternalID holds an external id that an operator gives to auditrelay local against the rule for it.
func CheckExternalID(text string) error {
	if !externalIDForm.MatchString(text) {
		return errors.New("must be 2 to 1,000 of A-Z a-z 0-9 _ + = , . @ : / -")
	}
	return nil
}

// AssumesRoles says whether destinations of the kind may assume a role of the customer's.
func (k Kind) AssumesRoles() bool { return k == S3 }
