package git

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"lockstep/internal/lockstep"
)

const maxQuoted = 400 // bytes of what git says, in an error

// failure gives a run that was no answer its class, from what git said. The messages are
// those of the C locale; one that is not known is a refusal in git's own words.
func (r *Repo) failure(verb string, err error, said []byte) error {
	text := oneLine(string(said), maxQuoted)
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return lockstep.Hint(fmt.Errorf("%w: there is no program %q", lockstep.ErrNotFound, r.settings.Git), "install git, or give its path in the configuration")
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: %q may not be run", lockstep.ErrRefused, r.settings.Git)
	}
	for _, known := range []struct {
		words, what, hint string
		class             error
	}{
		{"dubious ownership", "git does not trust the owner of " + r.settings.Path, "git config --global --add safe.directory " + quoted(r.settings.Path), lockstep.ErrRefused},
		{"not a git repository", r.settings.Path + " is in no git repository", `give its path, or "git init" is still to be done`, lockstep.ErrNotFound},
		{"must be run in a work tree", r.settings.Path + " is no working tree: nothing can be checked out there", `give a clone, or one that "git worktree add" makes`, lockstep.ErrRefused},
		{".lock': File exists", "another git holds a lock: " + text, "wait for it; if no git runs any more, remove the file that is named", lockstep.ErrUnavailable},
		{"cannot lock ref", "a branch cannot be written: " + text, "look with git branch --list; a branch cannot be named like a directory of another", lockstep.ErrConflict},
		{"would be overwritten", "the working tree is in the way: " + text, "commit these files, or move them away", lockstep.ErrRefused},
		{"is already checked out at", "it is checked out elsewhere: " + text, `look with "git worktree list"`, lockstep.ErrRefused},
		{"is corrupt", "git " + verb + ": " + text, "git fsck", lockstep.ErrCorrupt},
		{"No space left", "git " + verb + ": " + text, "make room and go on", lockstep.ErrUnavailable},
		{"unknown option", "git " + verb + ": " + text, "a newer git is needed: 2.38", lockstep.ErrRefused},
		{"bad object", "git " + verb + ": " + text, "is the clone complete? git fsck", lockstep.ErrNotFound},
		{"bad revision", "git " + verb + ": " + text, "", lockstep.ErrNotFound},
		{"Needed a single revision", "git " + verb + ": " + text, "", lockstep.ErrNotFound},
	} {
		if strings.Contains(text, known.words) {
			err := fmt.Errorf("%w: %s", known.class, known.what)
			if known.hint == "" {
				return err
			}
			return lockstep.Hint(err, known.hint)
		}
	}
	return fmt.Errorf("git %s: %w: %w: %s", verb, lockstep.ErrRefused, err, text)
}

// quoted returns a word as a shell takes it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./@:+,", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func quotedAll(all []string) string {
	q := make([]string, len(all))
	for i, a := range all {
		q[i] = quoted(a)
	}
	return strings.Join(q, " ")
}

// count says how many, in words.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
