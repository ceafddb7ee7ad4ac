package notice

import (
	"net/mail"
	"slices"
	"strings"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Recipients gives the addresses that mails about an owner's destinations go to: its admins and its error list, each address once however it is
// spelled, in the order of the lists. Bad counts those that are no mail addresses, which are left out.
//
// Because it is the owner of the destination that is asked, not the workspace of a log, the partner hears of a shared destination and the customer
// of its own.
func Recipients(owner directory.Workspace) (addresses []string, bad int) {
	seen := make(map[string]bool)
	for _, text := range slices.Concat(owner.Admins, owner.ErrorRecipients) {
		parsed, err := mail.ParseAddress(strings.TrimSpace(text))
		if err != nil {
			bad++
			continue
		}
		if folded := strings.ToLower(parsed.Address); !seen[folded] {
			seen[folded] = true
			addresses = append(addresses, parsed.Address)
		}
	}
	return addresses, bad
}
