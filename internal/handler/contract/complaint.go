package contract

import (
	"errors"
	"fmt"

	"lockstep/internal/lockstep"
)

// maxComplaints keeps a handler that is wrong everywhere from filling the report.
const maxComplaints = 5

// complaints collects what was seen, the first few of it in full.
type complaints struct {
	first []error
	count int
}

func (c *complaints) add(format string, args ...any) {
	c.count++
	if len(c.first) < maxComplaints {
		c.first = append(c.first, fmt.Errorf(format, args...))
	}
}

// err returns everything that was added as one lockstep.ErrInvalid, nil when nothing was.
func (c *complaints) err() error {
	switch more := c.count - len(c.first); {
	case c.count == 0:
		return nil
	case more > 0:
		return fmt.Errorf("%w: %w\nand %d more", lockstep.ErrInvalid, errors.Join(c.first...), more)
	}
	return fmt.Errorf("%w: %w", lockstep.ErrInvalid, errors.Join(c.first...))
}
