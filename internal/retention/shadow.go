package retention

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// shadowPrefix is where the ledgers of comparisons live, one per pair of revisions. They
// hold samples of what was compared, and are needed while a release of the pair may go on.
const shadowPrefix = "shadow/"

// acceptedShadows is the ledger of differences that people accepted. It stays.
const acceptedShadows = shadowPrefix + "accepted"

// InUse returns the prefixes of ledgers that are needed whatever their age, such as
// "shadow/<candidate>.<stable>". Where nobody can say, it is nil, and nothing goes.
type InUse func(ctx context.Context) ([]string, error)

// shadowOf returns the ledger that a comparison belongs to; "" for anything else.
func shadowOf(key string) string {
	dir, file := path.Split(key)
	dir = strings.TrimSuffix(dir, "/")
	if _, ok := parseNumber(file); !ok || dir == acceptedShadows || strings.Count(dir, "/") != 1 {
		return ""
	}
	return dir
}

// markShadows finds the ledgers of comparisons to which nothing was added for as long as
// versions stay, and that nobody needs.
func (m *mark) markShadows(ctx context.Context, inUse InUse) error {
	m.oldShadows = map[string]bool{}
	if inUse == nil {
		return nil
	}
	needed, err := inUse(ctx)
	if err != nil {
		return fmt.Errorf("find out which comparisons are needed: %w", err)
	}
	newest := map[string]time.Time{}
	for key, o := range m.objects {
		if ledger := shadowOf(key); ledger != "" && o.Modified.After(newest[ledger]) {
			newest[ledger] = o.Modified
		}
	}
	for ledger, at := range newest {
		m.oldShadows[ledger] = !at.Add(m.policy.Keep).After(m.now) && !slices.Contains(needed, ledger)
	}
	return nil
}
