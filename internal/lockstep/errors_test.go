package lockstep

import (
	"errors"
	"fmt"
	"testing"
)

func TestHintsTravelBesideTheError(t *testing.T) {
	err := fmt.Errorf("commit: %w", Hint(fmt.Errorf("read version 3: %w", ErrNotFound), "look at the list"))
	if !errors.Is(err, ErrNotFound) || err.Error() != "commit: read version 3: not found" {
		t.Errorf("%v", err)
	}
	if got := HintOf(err); got != "look at the list" {
		t.Errorf("hint %q", got)
	}
	if got := HintOf(Hint(err, "outer")); got != "outer" {
		t.Errorf("the outermost hint is %q", got)
	}
	if got := HintOf(errors.Join(ErrInvalid, err)); got != "look at the list" {
		t.Errorf("hint of a joined error %q", got)
	}
	if Hint(nil, "x") != nil || HintOf(nil) != "" || HintOf(ErrCorrupt) != "" {
		t.Error("a hint out of nothing")
	}
}

func TestClassesAreApart(t *testing.T) {
	classes := []error{ErrNotFound, ErrConflict, ErrUnavailable, ErrCorrupt, ErrRefused, ErrInvalid}
	for i, a := range classes {
		for j, b := range classes {
			if errors.Is(fmt.Errorf("x: %w", a), b) != (i == j) {
				t.Errorf("%v is %v", a, b)
			}
		}
	}
}
