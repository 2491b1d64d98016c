package version

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// ImportPrefix is where imports are archived: what a message announced and a compactor
// fetched, so that a replay does not need the source again.
const ImportPrefix = "import/"

// importDomain separates these hashes from all other uses of BLAKE3 here.
const importDomain = "lockstep/import/1"

// ImportKey names the archived form of one import: that of a message, a collection and
// a location. The message comes first, so that retention can tell whose it is.
func ImportKey(message string, c lockstep.Collection, location string) string {
	h := blake3.Sum256(fmt.Appendf(nil, "%s ref %q %q", importDomain, c, location))
	return ImportPrefix + ImportOwner(message) + "/" + hex.EncodeToString(h[:16])
}

// ImportOwner is the part of a message's import keys that all of them have.
func ImportOwner(message string) string {
	h := blake3.Sum256(fmt.Appendf(nil, "%s message %q", importDomain, message))
	return hex.EncodeToString(h[:16])
}

// OwnerOf returns the owner in the key of an archived import, "" when it is not one.
func OwnerOf(key string) string {
	rest, ok := strings.CutPrefix(key, ImportPrefix)
	if !ok {
		return ""
	}
	owner, _, _ := strings.Cut(rest, "/")
	return owner
}
