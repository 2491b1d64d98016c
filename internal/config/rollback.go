package config

import "time"

// Rollback configures what of an environment a rollback takes back, beyond what Lockstep
// itself keeps: the values are checked by what they are given to.
type Rollback struct {
	// Automatic has a verdict that rolls a release back take the data back as well, as soon
	// as the release has ended.
	Automatic bool
	// Data is the wish for data: auto, revert, reset, rebuild or none.
	Data       string
	Git        *Git
	Package    *Package
	Imports    *Imported
	Tests      []Suite
	Deploy     *Deploy
	Watch      Watch
	Notify     []Recipient
	Issue      *Issue
	Escalation []Contact
	Drill      Drill
}

// Git is the repository with the code that is taken back.
type Git struct {
	Path, Branch, Point, Message, Option string
	Since, Until                         string
	Paths, Also                          []string
	Reference, Rollback, Author          string
	MoveBranch, Hooks                    bool
}

// Package is an installed package of which directories have to go.
type Package struct {
	Root, Python, Version string
	Directories           []string
	Init                  string // the file that has to be as at the rollback point
	Reinstall             []string
	MustImport, MustFail  []string
	Env                   []string
}

// Imported says which modules nothing may import any more.
type Imported struct {
	Root      string
	Paths     []string
	Forbidden []string
}

// Suite is a test command whose output is read.
type Suite struct {
	Name     string
	Command  []string
	Dir      string
	Env      []string
	Timeout  time.Duration
	Format   string
	JUnit    string
	Item     string   // of the checklist: package, lambda or integration
	Minor    []string // patterns of tests whose failure is no reason to stop
	Blocking bool
}

// Deploy is how code gets to where it runs.
type Deploy struct {
	Name, Tool, Dir string
	Env             []string
	Timeout         time.Duration
	Refresh         bool
	Probe           []string
	Version         string // the good one, when it is known
	// Of Pulumi.
	Program, Stack, Output, Key string
	// Of a command, and to read back what runs.
	Current, Up, Back, Preview, Refreshes, History []string
	Field, Locked                                  string
}

// Watch is how long the recovery is watched.
type Watch struct {
	For   time.Duration // 0: not at all
	Every time.Duration
}

// Recipient is somebody who is told.
type Recipient struct {
	Name, Kind                                                     string
	Events, To                                                     []string
	URLEnv, SecretEnv, From, SMTP, UserEnv, PasswordEnv, Dir, Form string
}

// Issue is where the issue of a rollback is opened.
type Issue struct {
	Kind, Repository, TokenEnv, Dir, API string
	Labels                               []string
}

// Contact is who is called when a rollback is stuck.
type Contact struct{ Role, Name, Contact string }

// Drill is how often the way back is practised.
type Drill struct {
	MaxAge time.Duration // a release is refused when the last drill that passed is older; 0: never
	Every  time.Duration // 0: only when somebody asks
}

func decodeRollback(n *Node, def Rollback) Rollback {
	m := n.Map("automatic", "data", "git", "package", "imports", "tests", "deploy", "watch", "notify", "issue", "escalation", "drill")
	r := Rollback{
		Automatic: m.Get("automatic").Bool(false), Data: m.Get("data").Enum(def.Data, "auto", "revert", "reset", "rebuild", "none"),
		Git: decodeGit(m.Get("git")), Package: decodePackage(m.Get("package")), Imports: decodeImported(m.Get("imports")),
		Deploy: decodeDeploy(m.Get("deploy")), Issue: decodeIssue(m.Get("issue")),
	}
	for _, t := range m.Get("tests").List() {
		r.Tests = append(r.Tests, decodeSuite(t))
	}
	w := m.Get("watch").Map("for", "every")
	r.Watch = Watch{For: w.Get("for").Duration(def.Watch.For, 0, 24*time.Hour), Every: w.Get("every").Duration(def.Watch.Every, 10*time.Millisecond, 10*time.Minute)}
	for _, p := range m.Get("notify").List() {
		r.Notify = append(r.Notify, decodeRecipient(p))
	}
	for _, c := range m.Get("escalation").List() {
		e := c.Map("role", "name", "contact")
		r.Escalation = append(r.Escalation, Contact{e.Get("role").Text(""), e.Need("name").Text(""), e.Get("contact").Text("")})
	}
	d := m.Get("drill").Map("max_age", "every")
	r.Drill = Drill{MaxAge: d.Get("max_age").Duration(0, 0, 366*24*time.Hour), Every: d.Get("every").Duration(0, 0, 366*24*time.Hour)}
	return r
}

func decodeGit(n *Node) *Git {
	if n == nil {
		return nil
	}
	m := n.Map("path", "branch", "paths", "point", "message", "since", "until", "also", "option", "reference", "rollback", "author", "move_branch", "hooks")
	return &Git{
		Path: m.Get("path").Text("."), Branch: m.Get("branch").Text(""), Point: m.Get("point").Text(""), Message: m.Get("message").Text(""),
		Option: m.Get("option").Enum("revert", "revert", "reset", "restore"), Since: m.Get("since").Text(""), Until: m.Get("until").Text(""),
		Paths: words(m.Get("paths")), Also: words(m.Get("also")), Reference: m.Get("reference").Text(""), Rollback: m.Get("rollback").Text(""),
		Author: m.Get("author").Text(""), MoveBranch: m.Get("move_branch").Bool(false), Hooks: m.Get("hooks").Bool(false),
	}
}

func decodePackage(n *Node) *Package {
	if n == nil {
		return nil
	}
	m := n.Map("root", "python", "version", "directories", "init", "reinstall", "must_import", "must_fail", "env")
	return &Package{
		Root: m.Need("root").Text(""), Python: m.Get("python").Text("python3"), Version: m.Get("version").Text(""), Directories: words(m.Get("directories")),
		Init: m.Get("init").Text(""), Reinstall: words(m.Get("reinstall")), MustImport: words(m.Get("must_import")), MustFail: words(m.Get("must_fail")), Env: words(m.Get("env")),
	}
}

func decodeImported(n *Node) *Imported {
	if n == nil {
		return nil
	}
	m := n.Map("root", "paths", "forbidden")
	return &Imported{Root: m.Get("root").Text("."), Paths: words(m.Get("paths")), Forbidden: words(m.Need("forbidden"))}
}

func decodeSuite(n *Node) Suite {
	m := n.Map("name", "command", "dir", "env", "timeout", "format", "junit", "item", "minor", "blocking")
	return Suite{
		Name: m.Need("name").Text(""), Command: words(m.Need("command")), Dir: m.Get("dir").Text(""), Env: words(m.Get("env")),
		Timeout: m.Get("timeout").Duration(10*time.Minute, time.Second, 6*time.Hour), Format: m.Get("format").Enum("auto", "auto", "pytest", "go", "junit", "exit"),
		JUnit: m.Get("junit").Text(""), Item: m.Get("item").Enum("", "package", "lambda", "integration"), Minor: words(m.Get("minor")), Blocking: m.Get("blocking").Bool(true),
	}
}

func decodeDeploy(n *Node) *Deploy {
	if n == nil {
		return nil
	}
	m := n.Map("name", "tool", "dir", "env", "timeout", "refresh", "probe", "version", "pulumi", "command")
	d := &Deploy{
		Name: m.Get("name").Text("handlers"), Tool: m.Get("tool").Enum("command", "command", "pulumi"), Dir: m.Get("dir").Text(""), Env: words(m.Get("env")),
		Timeout: m.Get("timeout").Duration(10*time.Minute, time.Second, 6*time.Hour), Refresh: m.Get("refresh").Bool(false), Probe: words(m.Get("probe")), Version: m.Get("version").Text(""),
	}
	if d.Tool == "pulumi" {
		p := m.Get("pulumi").Map("program", "stack", "output", "current", "field", "config")
		d.Program, d.Stack, d.Output, d.Key = p.Get("program").Text(""), p.Get("stack").Text(""), p.Get("output").Text(""), p.Get("config").Text("")
		d.Current, d.Field = words(p.Get("current")), p.Get("field").Text("")
		return d
	}
	c := m.Need("command").Map("current", "field", "up", "rollback", "preview", "refresh", "history", "locked")
	d.Current, d.Field, d.Locked = words(c.Need("current")), c.Get("field").Text(""), c.Get("locked").Text("")
	d.Up, d.Back, d.Preview = words(c.Need("up")), words(c.Get("rollback")), words(c.Get("preview"))
	d.Refreshes, d.History = words(c.Get("refresh")), words(c.Get("history"))
	return d
}

func decodeRecipient(n *Node) Recipient {
	m := n.Map("name", "kind", "events", "url_env", "secret_env", "to", "from", "smtp", "user_env", "password_env", "dir", "form")
	return Recipient{
		Name: m.Need("name").Text(""), Kind: m.Need("kind").Enum("", "slack", "webhook", "email", "file"), Events: words(m.Get("events")), To: words(m.Get("to")),
		URLEnv: m.Get("url_env").Text(""), SecretEnv: m.Get("secret_env").Text(""), From: m.Get("from").Text(""), SMTP: m.Get("smtp").Text(""),
		UserEnv: m.Get("user_env").Text(""), PasswordEnv: m.Get("password_env").Text(""), Dir: m.Get("dir").Text(""), Form: m.Get("form").Enum("", "markdown", "jsonl"),
	}
}

func decodeIssue(n *Node) *Issue {
	if n == nil {
		return nil
	}
	m := n.Map("kind", "repository", "labels", "token_env", "dir", "api")
	return &Issue{
		Kind: m.Get("kind").Enum("file", "file", "github"), Repository: m.Get("repository").Text(""), TokenEnv: m.Get("token_env").Text(""),
		Dir: m.Get("dir").Text(""), API: m.Get("api").Text(""), Labels: words(m.Get("labels")),
	}
}
