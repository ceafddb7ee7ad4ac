package auditlog

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// HashLength is how many characters Document.Hash has: 64 bits, which tell apart the few documents that one
// workspace sends under one id.
const HashLength = 16

// Hash is a short hash of the document, in hexadecimal. A producer may use one id for two different logs; their
// hashes tell them apart. It is made of what is sent, so of a zero-retention log it says nothing of what was
// removed.
func (d Document) Hash() string {
	sum := sha256.Sum256(d.JSON)
	return hex.EncodeToString(sum[:HashLength/2])
}

// IsHash says whether a text has the form of a hash.
func IsHash(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == HashLength && text == strings.ToLower(text)
}

// Identity is what tells the log from every other, and is the same for one that comes again: the workspace, the
// id and the hash, between colons, which none of them holds.
func (d Document) Identity() string { return d.WorkspaceID + ":" + d.ID + ":" + d.Hash() }
