package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"lockstep/internal/lockstep"
)

const (
	// outputLimit bounds what one command may print: the history is the longest.
	outputLimit = 256 << 20
	// killGrace is how long a command may take to remove its locks when it is told to end.
	killGrace = 2 * time.Second
)

// Options are what a repository needs from the process.
type Options struct {
	// Env are the variables that git sees beside its own: HOME, for the identity and the
	// trust of a person; PATH, for filters such as large files. A variable that begins
	// with GIT_ is not passed on: it could point to another repository.
	Env map[string]string
	// Now says whether a lock file is old. nil: none is old enough to be removed.
	Now func() time.Time
}

// Repo is a repository and what is known of the migration in it.
type Repo struct {
	settings Settings
	env      []string
	now      func() time.Time
}

// New returns the repository that s describes. It looks at nothing; ErrInvalid names the
// field that is wrong.
func New(s Settings, o Options) (*Repo, error) {
	s, err := s.resolved()
	if err != nil {
		return nil, err
	}
	return &Repo{settings: s, env: environment(s, o.Env), now: o.Now}, nil
}

// environment is all that git gets. No question is asked, no editor or pager is started,
// and messages are in one language, since some of them are read.
func environment(s Settings, given map[string]string) []string {
	env := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"}
	if home, err := os.UserHomeDir(); err == nil {
		env["HOME"] = home
	}
	for k, v := range given {
		if !strings.HasPrefix(k, "GIT_") {
			env[k] = v
		}
	}
	maps.Copy(env, map[string]string{
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GIT_EDITOR": "true",
		"GIT_PAGER": "cat", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C", "TZ": "UTC",
	})
	config := []string{
		"core.fsmonitor=false", "core.quotePath=false", "log.showSignature=false", "i18n.logOutputEncoding=UTF-8", "i18n.commitEncoding=UTF-8", "submodule.recurse=false", "advice.detachedHead=false",
		"color.ui=false", "gc.auto=0", "maintenance.auto=false", "merge.renames=true", "merge.directoryRenames=conflict", "diff.ignoreSubmodules=dirty",
	}
	if !s.Hooks {
		config = append(config, "core.hooksPath=/dev/null")
	}
	env["GIT_CONFIG_COUNT"] = fmt.Sprint(len(config))
	for i, c := range config {
		k, v, _ := strings.Cut(c, "=")
		env[fmt.Sprintf("GIT_CONFIG_KEY_%d", i)], env[fmt.Sprintf("GIT_CONFIG_VALUE_%d", i)] = k, v
	}
	out := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}

// call is one run of git.
type call struct {
	args  []string
	stdin []byte
	env   []string
	fine  []int // exit statuses beside 0 that are answers
}

// run runs git in dir. It returns what git printed and its exit status; an error of a
// class when that is no answer. Whatever was started has ended when it returns.
func (r *Repo) run(ctx context.Context, dir string, c call) ([]byte, int, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(running, r.settings.Git, append([]string{"--no-pager", "-C", dir}, c.args...)...)
	cmd.Env = append(slices.Clone(r.env), c.env...)
	cmd.Stdin = bytes.NewReader(c.stdin)
	out := &bounded{left: outputLimit, over: cancel}
	said := &tail{}
	cmd.Stdout, cmd.Stderr = out, said
	// Its own process group, so that its children end with it. It is asked first: git
	// then removes the locks that it holds.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = killGrace
	err := cmd.Run()
	if cmd.Process != nil {
		// What it left behind in its group; that there is nothing is the usual case.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, 0, ctx.Err()
	case out.exceeded:
		return nil, 0, fmt.Errorf("%w: git %s printed more than %d bytes", lockstep.ErrRefused, c.args[0], outputLimit)
	case err == nil:
		return out.body.Bytes(), 0, nil
	case errors.As(err, &ended) && slices.Contains(c.fine, ended.ExitCode()):
		return out.body.Bytes(), ended.ExitCode(), nil
	}
	return nil, 0, r.failure(c.args[0], err, said.text)
}

// work is a working tree that was found, for the length of one operation.
type work struct {
	*Repo
	top     string // of the working tree
	gitDir  string // of this working tree
	common  string // of the repository, where the branches are
	shallow bool
}

// open finds the working tree. ErrNotFound: no git, no such directory or no repository
// there. ErrRefused: it has no working tree, or git does not trust its owner.
func (r *Repo) open(ctx context.Context) (*work, error) {
	if info, err := os.Stat(r.settings.Path); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is no directory", lockstep.ErrNotFound, r.settings.Path)
	}
	out, _, err := r.run(ctx, r.settings.Path, call{args: []string{"rev-parse", "--is-shallow-repository", "--show-toplevel", "--absolute-git-dir", "--path-format=absolute", "--git-common-dir"}})
	if err != nil {
		return nil, err
	}
	answers := strings.Split(line(out), "\n")
	if len(answers) != 4 {
		return nil, fmt.Errorf("%w: the path of the repository holds a line break: %q", lockstep.ErrRefused, out)
	}
	w := &work{Repo: r, shallow: answers[0] == "true"}
	w.top, w.gitDir, w.common = filepath.Clean(answers[1]), filepath.Clean(answers[2]), filepath.Clean(answers[3])
	return w, nil
}

// git runs a command whose only answer is success.
func (w *work) git(ctx context.Context, args ...string) ([]byte, error) {
	out, _, err := w.run(ctx, w.top, call{args: args})
	return out, err
}

// look runs a command that takes no lock, not even one that would only save time.
func (w *work) look(ctx context.Context, args ...string) ([]byte, error) {
	out, _, err := w.run(ctx, w.top, call{args: args, env: []string{"GIT_OPTIONAL_LOCKS=0"}})
	return out, err
}

// words splits what git printed with -z.
func words(out []byte) []string {
	if len(out) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func line(out []byte) string { return strings.TrimSuffix(string(out), "\n") }

// withPaths appends paths as what they are: none stands for everything.
func withPaths(args []string, paths []string) []string {
	return append(append(slices.Clone(args), "--"), paths...)
}
