package state

import (
	"fmt"
)

// Fork opens a second state in dir, which must not exist, that begins as this one is and
// goes its own way. The files are linked and not copied, so that it costs the same at any
// size. Other goroutines may work on this one meanwhile; the fork shows some version that
// was current during the call.
func (s *State) Fork(dir string) (*State, error) {
	// There is no write-ahead log: what is in memory only would be missing.
	if err := s.db.Flush(); err != nil {
		return nil, fmt.Errorf("fork the local state: flush it: %w", err)
	}
	if err := s.db.Checkpoint(dir); err != nil {
		return nil, fmt.Errorf("fork the local state: %w", err)
	}
	return Open(dir, s.store(), s.bases, s.opts)
}
