package load

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
)

func TestParseMix(t *testing.T) {
	for s, want := range map[string]Mix{
		"edits=80,deletes=5,inserts=15": {80, 5, 15}, "deletes=100": {0, 100, 0}, " inserts=50, edits=50": {50, 0, 50},
	} {
		got, err := ParseMix(s)
		if err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", s, got, err, want)
		}
		if again, err := ParseMix(got.String()); err != nil || again != got {
			t.Errorf("%v is read back as %v, %v", got, again, err)
		}
	}
	for s, why := range map[string]string{
		"": "no share", "edits": "no share", "edits=x": "no share", "edits=-1,inserts=101": "no share",
		"edits=50": "sum is 50", "edits=50,edits=50": "twice", "reads=100": "no kind is called",
	} {
		if _, err := ParseMix(s); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", s, err, why)
		}
	}
}

func TestTheMixIsDrawnInItsShares(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	counts := map[string]int{}
	const n = 20_000
	for range n {
		counts[Mix{60, 30, 10}.draw(rng)]++
	}
	for name, want := range map[string]float64{"place": 0.6 * 0.5, "label-removed": 0.3 * 0.8, "word-deleted": 0.3 * 0.1, "label-added": 0.1} {
		if got := float64(counts[name]) / n; math.Abs(got-want) > 0.02 {
			t.Errorf("%s: %.3f of all, want %.3f", name, got, want)
		}
	}
	for _, m := range []Mix{{100, 0, 0}, {0, 100, 0}, {0, 0, 100}} {
		for pick := range 100 {
			sum := 0
			for _, d := range m.deeds(pick) {
				sum += d.weight
			}
			if sum != 100 {
				t.Fatalf("the weights of %v are %d together", m, sum)
			}
		}
	}
}

func TestKeysAreDrawnByTheirSkew(t *testing.T) {
	for _, c := range []struct {
		skew, first, second float64 // shares wanted, of four keys
	}{
		{0, 0.25, 0.25},
		{1, 1 / (1 + 1/2. + 1/3. + 1/4.), 0.5 / (1 + 1/2. + 1/3. + 1/4.)},
	} {
		rng := rand.New(rand.NewPCG(1, 1))
		k := newKeys(4, c.skew)
		var counts [4]int
		const n = 20_000
		for range n {
			counts[k.draw(rng)]++
		}
		if a, b := float64(counts[0])/n, float64(counts[1])/n; math.Abs(a-c.first) > 0.02 || math.Abs(b-c.second) > 0.02 {
			t.Errorf("skew %g: %.3f and %.3f, want %.3f and %.3f", c.skew, a, b, c.first, c.second)
		}
	}
}
