package blob

import (
	"fmt"
	"strings"

	"lockstep/internal/lockstep"
)

// CheckCreateKey returns ErrInvalid unless key is one that Create accepts: valid,
// and outside HintPrefix, so that nothing created can ever be overwritten.
func CheckCreateKey(key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if strings.HasPrefix(key, HintPrefix) {
		return fmt.Errorf("%w object key %q: %s is for hints, which may be overwritten", lockstep.ErrInvalid, key, HintPrefix)
	}
	return nil
}

// CheckHintKey returns ErrInvalid unless key is one that Hint accepts: valid, and
// below HintPrefix, so that nothing that counts can be overwritten.
func CheckHintKey(key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if !strings.HasPrefix(key, HintPrefix) {
		return fmt.Errorf("%w hint key %q: want it below %s", lockstep.ErrInvalid, key, HintPrefix)
	}
	return nil
}
