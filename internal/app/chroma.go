package app

import (
	"os"
	"path/filepath"

	"lockstep/internal/adapter/chroma"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
)

// chromaCommand returns the command that makes an empty Chroma directory: the
// configured one when it is there, or what is found on the PATH.
func chromaCommand(c config.Chroma, look func(string) (string, error)) (command []string, advice string) {
	if look == nil {
		look = func(string) (string, error) { return "", os.ErrNotExist }
	}
	if len(c.Command) > 0 {
		if path, err := look(c.Command[0]); err == nil {
			return append([]string{path}, c.Command[1:]...), ""
		}
	}
	return chroma.Detect(look)
}

// published says whether a follower directory exists already, which then is a
// template of its own.
func published(root string) bool {
	_, err := os.Stat(filepath.Join(root, "current"))
	return err == nil
}

func hintOr(err error, other string) string {
	if h := lockstep.HintOf(err); h != "" {
		return h
	}
	return other
}
