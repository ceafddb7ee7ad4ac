package directory

import (
	"errors"
	"net/mail"
)

// longestAddress is RFC 5321's: 64 + @ + 255.
const longestAddress = 320

// CheckAddress holds an entry of Admins or ErrorRecipients against the rule for them.
func CheckAddress(text string) error {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || len(text) > longestAddress {
		return errors.New("must be a mail address such as ada@acme.example, without a name")
	}
	return nil
}
