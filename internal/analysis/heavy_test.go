package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// TestTheHeaviestKeyIsFoundAndItsShareNeverOverstated compares with exact counts.
func TestTheHeaviestKeyIsFoundAndItsShareNeverOverstated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Heavy
		exact := map[string]int64{}
		n := rapid.IntRange(1, 600).Draw(t, "units")
		hot := rapid.IntRange(0, 100).Draw(t, "percent of one key")
		others := rapid.IntRange(1, 400).Draw(t, "other keys")
		for range n {
			key := "hot"
			if rapid.IntRange(1, 100).Draw(t, "who") > hot {
				key = fmt.Sprint("key ", rapid.IntRange(1, others).Draw(t, "other"))
			}
			exact[key]++
			h.Add(key)
		}
		extra := int64(rapid.IntRange(0, 50).Draw(t, "unlisted"))
		h.AddOthers(extra)
		if h.Units() != int64(n)+extra {
			t.Fatalf("%d units, want %d", h.Units(), int64(n)+extra)
		}
		most := int64(0)
		for _, c := range exact {
			most = max(most, c)
		}
		all := float64(int64(n) + extra)
		key, share := h.Top()
		if share > float64(exact[key])/all+1e-12 {
			t.Fatalf("%s is said to have %g, it has %d of %g", key, share, exact[key], all)
		}
		if float64(most)/all-share > 1.0/MaxHeavy+1e-12 {
			t.Fatalf("%s is said to have %g, and a key has %d of %g", key, share, most, all)
		}
		body, err := json.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		var again Heavy
		if err := json.Unmarshal(body, &again); err != nil {
			t.Fatal(err)
		}
		again.Add("one more")
		h.Add("one more")
		a, errA := json.Marshal(&h)
		b, errB := json.Marshal(&again)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Fatalf("%s, after it was stored %s", a, b)
		}
	})
}

func TestHeavyKeysThatCannotBeAreRefused(t *testing.T) {
	for _, body := range []string{
		`{"units":-1}`, `{"units":1,"keys":[{"key":"a","units":2}]}`, `{"units":2,"keys":[{"key":"a","units":1,"over":1}]}`,
		`{"units":2,"keys":[{"key":"b","units":1},{"key":"a","units":1}]}`, `{"units":1,"surprise":1}`, `[]`,
	} {
		var h Heavy
		if err := json.Unmarshal([]byte(body), &h); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s is read: %v", body, err)
		}
	}
	var none Heavy
	if key, share := none.Top(); key != "" || share != 0 {
		t.Errorf("without units the top key is %q with %g", key, share)
	}
}
