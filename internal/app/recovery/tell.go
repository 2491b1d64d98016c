package recovery

import (
	"context"
	"fmt"
	"strings"

	"lockstep/internal/adapter/github"
	"lockstep/internal/adapter/messenger"
	"lockstep/internal/ledger"
	"lockstep/internal/notify"
	"lockstep/internal/redact"
	"lockstep/internal/rollback"
)

// kindRolledBack is what a message says that tells of a rollback.
const kindRolledBack = "rolled-back"

// Secrets are the values of the environment variables that the configuration names: they are
// in nothing that is stored.
func (a *Assembly) Secrets() []string {
	var out []string
	add := func(name string) {
		if v, ok := a.lookup(name); ok && name != "" {
			out = append(out, v)
		}
	}
	for _, n := range a.Config.Rollback.Notify {
		add(n.URLEnv)
		add(n.SecretEnv)
		add(n.UserEnv)
		add(n.PasswordEnv)
	}
	if i := a.Config.Rollback.Issue; i != nil {
		add(i.TokenEnv)
	}
	return out
}

// Outbox returns the outbox of the store.
func (a *Assembly) Outbox() *notify.Outbox {
	return notify.NewOutbox(a.Control.Blobs, ledger.Options{Now: a.Now}, redact.New(a.Secrets()...).Text)
}

// Courier delivers from the outbox to the recipients that are configured here. One whose
// settings are not complete, because a variable is not set, is in unset, with the reason:
// its messages wait.
func (a *Assembly) Courier() (c *notify.Courier, unset map[string]error) {
	c = &notify.Courier{Name: a.Actor, Outbox: a.Outbox(), Senders: map[string]notify.Sender{}}
	unset = map[string]error{}
	for _, s := range a.recipients() {
		sender, err := messenger.New(s, messenger.Options{Getenv: a.getenv, Now: a.Now})
		if err != nil {
			unset[s.Name] = err
			continue
		}
		c.Senders[s.Name] = sender
	}
	if i := a.Config.Rollback.Issue; i != nil {
		s := a.issue()
		sender, err := github.New(s, github.Options{Getenv: a.getenv})
		if err != nil {
			unset[s.Recipient()] = err
			return c, unset
		}
		c.Senders[s.Recipient()] = sender
	}
	return c, unset
}

func (a *Assembly) getenv(name string) string {
	v, _ := a.lookup(name)
	return v
}

func (a *Assembly) recipients() []messenger.Settings {
	var out []messenger.Settings
	for _, n := range a.Config.Rollback.Notify {
		s := messenger.Settings{
			Name: n.Name, Kind: messenger.Kind(n.Kind), Events: n.Events, URLEnv: n.URLEnv, SecretEnv: n.SecretEnv,
			To: n.To, From: n.From, SMTP: n.SMTP, UserEnv: n.UserEnv, PasswordEnv: n.PasswordEnv, Dir: n.Dir, Form: messenger.Form(n.Form),
		}
		if s.Kind == messenger.KindFile && s.Dir == "" {
			s.Dir = a.dataDir("messages")
		}
		out = append(out, s)
	}
	return out
}

func (a *Assembly) issue() github.Settings {
	i := a.Config.Rollback.Issue
	s := github.Settings{Kind: github.Kind(i.Kind), Repository: i.Repository, Labels: i.Labels, TokenEnv: i.TokenEnv, API: i.API, Dir: i.Dir}
	if s.Kind == github.KindFile && s.Dir == "" {
		s.Dir = a.dataDir("issues")
	}
	return s
}

// tellers are the targets that tell people.
func (a *Assembly) tellers() map[string]rollback.Target {
	out := map[string]rollback.Target{}
	if len(a.Config.Rollback.Notify) == 0 && a.Config.Rollback.Issue == nil {
		return out
	}
	courier, _ := a.Courier()
	for name, item := range map[string]string{TargetNotify: rollback.ItemNotified, TargetIssue: rollback.ItemIssue} {
		out[name] = &notify.Target{Outbox: courier.Outbox, Courier: courier, Item: item, Now: a.Now, Compose: a.compose}
	}
	return out
}

// compose says how things are when they are told, and not how they were planned.
func (a *Assembly) compose(ctx context.Context, planned notify.Message) (notify.Message, error) {
	id, ok := strings.CutPrefix(planned.Topic, "plan ")
	if !ok {
		return planned, nil
	}
	j, err := a.Journals().Open(id)
	if err != nil {
		return planned, err
	}
	head, err := j.Head(ctx)
	if err != nil {
		return planned, err
	}
	s := head.Entry.State
	if stuck := s.Stuck(); len(stuck) > 0 {
		var names []string
		for _, i := range stuck {
			names = append(names, s.Plan.Steps[i].ID)
		}
		planned.Subject = "Incomplete: " + planned.Subject
		planned.Text = "Not everything is back: " + strings.Join(names, ", ") + " need a person.\n\n" + planned.Text
	}
	groups := s.Checklist()
	planned.Text += "\nWhere it stands:\n" + s.Text()
	planned.Markdown = planned.Text + "\n" + rollback.ChecklistMarkdown(groups)
	return planned.Fitted(), nil
}

// tell adds the step that tells people.
func (b *builder) tell(target string) error {
	m := notify.Message{
		ID: fmt.Sprintf("plan %s %s", b.plan.ID, target), Topic: "plan " + b.plan.ID, Kind: kindRolledBack, At: b.plan.At,
		Subject: fmt.Sprintf("Rolled back in %s: %s", b.plan.Environment, orNothing(b.plan.Bad)), Text: b.notice(),
	}
	var to []string
	if target == TargetIssue {
		to = []string{b.issue().Recipient()}
	} else {
		for _, r := range b.recipients() {
			if r.Wants(kindRolledBack) {
				to = append(to, r.Name)
			}
		}
	}
	if len(to) == 0 {
		b.plan.Notes = append(b.plan.Notes, target+": left out, for no recipient wants messages of a rollback")
		return nil
	}
	return b.step(notify.Plan(target, m, to))
}

func orNothing(s string) string {
	if s == "" {
		return "code"
	}
	return s
}

// notice is the text of the document.
func (b *builder) notice() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s has been rolled back due to: %s\n\nCurrent State:\n", orNothing(b.plan.Bad), b.plan.Reason)
	if b.plan.To.Revision != "" {
		fmt.Fprintf(&s, "- Routing: every key is decided by %s\n", b.plan.To.Revision)
	}
	if b.plan.Takes(TargetIndex) {
		fmt.Fprintf(&s, "- Data: %s\n", b.outline.Data)
	}
	fmt.Fprintf(&s, "- Plan: %s, %s procedure, asked for by %s\n", b.plan.ID, b.plan.Procedure, b.plan.By)
	s.WriteString("\nNext Steps:\n- Root cause analysis\n- Fix identified issues\n- Re-attempt the release when ready\n")
	return s.String()
}
