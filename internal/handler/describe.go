package handler

import (
	"fmt"
	"regexp"

	"lockstep/internal/lockstep"
)

// Limits of a description, so that one from another process cannot exhaust us.
const (
	maxCollections = 64
	maxEntityRules = 1024
	maxPattern     = 4 << 10 // bytes of one regular expression
)

var (
	revisionName    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	revisionVersion = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
)

// Check returns lockstep.ErrInvalid, naming the field, unless d can stand for a
// revision: name and version are plain words, the code has a hash, collections are
// unique, allowed and of a known space, and every rule compiles.
func (d Description) Check() error {
	switch {
	case !revisionName.MatchString(d.Name):
		return fmt.Errorf("%w handler name %.80q: want 1 to 63 of a-z 0-9 . _ -", lockstep.ErrInvalid, d.Name)
	case !revisionVersion.MatchString(d.Version):
		return fmt.Errorf("%w version %.80q of handler %s: want 1 to 63 of A-Z a-z 0-9 . _ -", lockstep.ErrInvalid, d.Version, d.Name)
	}
	if err := d.check(); err != nil {
		return fmt.Errorf("handler %s@%s: %w", d.Name, d.Version, err)
	}
	return nil
}

func (d Description) check() error {
	switch {
	case d.Code == "":
		return fmt.Errorf("%w code: no hash; a revision is identified by what runs, not by its name", lockstep.ErrInvalid)
	case len(d.Collections) == 0 || len(d.Collections) > maxCollections:
		return fmt.Errorf("%w collections: %d, want 1 to %d", lockstep.ErrInvalid, len(d.Collections), maxCollections)
	case len(d.Entities) > maxEntityRules:
		return fmt.Errorf("%w entities: %d rules, at most %d", lockstep.ErrInvalid, len(d.Entities), maxEntityRules)
	case d.Key.Partition == "" && d.Key.Sort != "":
		return fmt.Errorf("%w key: a sort key %q without a partition key", lockstep.ErrInvalid, d.Key.Sort)
	}
	for i, c := range d.Collections {
		if err := c.check(); err != nil {
			return fmt.Errorf("collection %d: %w", i, err)
		}
		for _, other := range d.Collections[:i] {
			if other.Name == c.Name {
				return fmt.Errorf("%w collection %q is declared twice", lockstep.ErrInvalid, c.Name)
			}
		}
	}
	for i, e := range d.Entities {
		for _, pattern := range []string{e.Partition, e.Sort} {
			if len(pattern) > maxPattern {
				return fmt.Errorf("%w entity rule %d (%s): a pattern of %d bytes, at most %d", lockstep.ErrInvalid, i, e.Entity, len(pattern), maxPattern)
			}
			if _, err := regexp.Compile(pattern); err != nil {
				return fmt.Errorf("%w entity rule %d (%s): %w", lockstep.ErrInvalid, i, e.Entity, err)
			}
		}
	}
	return nil
}

func (c CollectionSpec) check() error {
	if err := c.Name.Check(); err != nil {
		return err
	}
	switch {
	case c.Name.Builtin():
		return fmt.Errorf("%w %q is one of Lockstep's own", lockstep.ErrInvalid, c.Name)
	case c.Dimension < 0 || c.Dimension > lockstep.MaxDimension:
		return fmt.Errorf("%w %q: dimension %d, want 0 to %d", lockstep.ErrInvalid, c.Name, c.Dimension, lockstep.MaxDimension)
	}
	switch c.Space {
	case "", "l2", "cosine", "ip":
		return nil
	}
	return fmt.Errorf("%w %q: space %q, want l2, cosine or ip", lockstep.ErrInvalid, c.Name, c.Space)
}
