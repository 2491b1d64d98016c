package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// Mix is how often each kind of thing is done to the table, in per cent.
type Mix struct{ Edits, Deletes, Inserts int }

// DefaultMix is a working day of the receipt table.
func DefaultMix() Mix { return Mix{Edits: 80, Deletes: 5, Inserts: 15} }

// ParseMix reads "edits=80,deletes=5,inserts=15". A kind that is left out is 0; the
// sum has to be 100, else ErrInvalid.
func ParseMix(s string) (Mix, error) {
	var m Mix
	bad := func(why string) error {
		return fmt.Errorf("%w mix %.80q: %s, want such as %s", lockstep.ErrInvalid, s, why, DefaultMix())
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(s, ",") {
		name, percent, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(percent)
		if err != nil || n < 0 || n > 100 {
			return Mix{}, bad(fmt.Sprintf("%.40q is no share in per cent", part))
		}
		if seen[name] {
			return Mix{}, bad(name + " is there twice")
		}
		seen[name] = true
		switch name {
		case "edits":
			m.Edits = n
		case "deletes":
			m.Deletes = n
		case "inserts":
			m.Inserts = n
		default:
			return Mix{}, bad(fmt.Sprintf("no kind is called %.40q", name))
		}
	}
	if sum := m.Edits + m.Deletes + m.Inserts; sum != 100 {
		return Mix{}, bad(fmt.Sprintf("the sum is %d", sum))
	}
	return m, nil
}

// String is the mix as ParseMix reads it.
func (m Mix) String() string {
	return fmt.Sprintf("edits=%d,deletes=%d,inserts=%d", m.Edits, m.Deletes, m.Inserts)
}

// deed is one way of doing one kind of thing, in the words of package synth.
type deed struct {
	name   string
	weight int
}

// The deeds leave out what needs a new import, and what ends a receipt for good: a run
// has to be able to go on for hours.
func (m Mix) deeds(pick int) []deed {
	switch {
	case pick < m.Edits:
		return []deed{{"place", 50}, {"validated", 25}, {"section", 15}, {"null", 10}}
	case pick < m.Edits+m.Deletes:
		return []deed{{"label-removed", 80}, {"place-removed", 10}, {"word-deleted", 10}}
	}
	return []deed{{"label-added", 100}}
}

// draw chooses what is done next.
func (m Mix) draw(rng *rand.Rand) string {
	deeds := m.deeds(rng.IntN(100))
	pick := rng.IntN(100)
	for _, d := range deeds {
		if pick -= d.weight; pick < 0 {
			return d.name
		}
	}
	return deeds[0].name
}

// keys draws keys of which the k-th is chosen in proportion to 1/k^skew: 0 is even,
// 1 is Zipf's law.
type keys struct {
	upto []float64 // upto[i]: the share of the keys 0 to i
}

func newKeys(n int, skew float64) keys {
	k := keys{upto: make([]float64, n)}
	sum := 0.0
	for i := range k.upto {
		sum += math.Pow(float64(i+1), -skew)
		k.upto[i] = sum
	}
	for i := range k.upto {
		k.upto[i] /= sum
	}
	return k
}

func (k keys) draw(rng *rand.Rand) int {
	i, _ := slices.BinarySearch(k.upto, rng.Float64())
	return min(i, len(k.upto)-1)
}
