package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Issues keeps one issue per topic in one repository.
type Issues struct {
	client *client
	repo   string // path of the repository
	labels []string
}

var _ notify.Sender = (*Issues)(nil)

// Bounds of what is looked through. 1,000 incidents have had an issue with the label
// before one is not found again.
const (
	perPage         = 50
	maxIssuePages   = 20
	maxCommentPages = 20
	maxTitle        = 250
	maxBody         = 65_000 // GitHub takes 65,536 characters
	labelColour     = "b60205"
	labelText       = "A migration was taken back and must not go on before this is solved"
	// clockSlack is how far the clock that dated a message may be ahead of GitHub's.
	clockSlack = 24 * time.Hour
)

func newIssues(s Settings, o Options) (*Issues, error) {
	c, err := newClient(s, o)
	if err != nil {
		return nil, err
	}
	return &Issues{client: c, repo: "repos/" + s.Repository, labels: s.labels()}, nil
}

type issue struct {
	Number int    `json:"number"`
	Body   string `json:"body"`
	Link   string `json:"html_url"`
	Labels []struct {
		Name string `json:"name"`
	} `json:"labels"`
	PullRequest *struct{} `json:"pull_request"` // the list has pull requests as well
}

type comment struct {
	Body string `json:"body"`
	Link string `json:"html_url"`
}

// Send puts m into the issue of its topic: it opens the issue, or comments on it, open or
// closed. Errors are as notify.Sender says.
func (g *Issues) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return notify.Receipt{}, err
	}
	if err := m.Check(); err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: %w", g.client.name, err)
	}
	found, err := g.find(ctx, notify.Marker(m.Thread()))
	switch {
	case errors.Is(err, errNone):
		return g.open(ctx, m)
	case err != nil:
		return notify.Receipt{}, err
	case notify.HasLine(found.Body, notify.MessageMarker(m.ID)):
		return found.receipt(), nil
	}
	return g.comment(ctx, found, m)
}

func (i issue) receipt() notify.Receipt {
	return notify.Receipt{Text: fmt.Sprintf("issue %d", i.Number), Link: i.Link}
}

var errNone = fmt.Errorf("issue: %w", lockstep.ErrNotFound)

// find returns the newest issue that holds a marker, or errNone.
func (g *Issues) find(ctx context.Context, marker string) (issue, error) {
	query := url.Values{
		"labels": {g.labels[0]}, "state": {"all"}, "sort": {"created"}, "direction": {"desc"}, "per_page": {strconv.Itoa(perPage)},
	}
	for page := 1; page <= maxIssuePages; page++ {
		query.Set("page", strconv.Itoa(page))
		var list []issue
		if err := g.client.get(ctx, g.repo+"/issues", query, &list); err != nil {
			return issue{}, err
		}
		n := slices.IndexFunc(list, func(i issue) bool { return i.PullRequest == nil && notify.HasLine(i.Body, marker) })
		if n >= 0 {
			return list[n], nil
		}
		if len(list) < perPage {
			break
		}
	}
	return issue{}, errNone
}

// open makes the labels and then the issue, which it finds by the first of them.
func (g *Issues) open(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	for _, l := range g.labels {
		if err := g.ensure(ctx, l); err != nil {
			return notify.Receipt{}, err
		}
	}
	var made issue
	err := g.client.post(ctx, g.repo+"/issues", map[string]any{
		"title": notify.Brief(m.Subject, maxTitle), "body": body(m, notify.Marker(m.Thread()), notify.MessageMarker(m.ID)), "labels": g.labels,
	}, &made)
	if err != nil {
		return notify.Receipt{}, err
	}
	r := made.receipt()
	for _, l := range made.Labels {
		if strings.EqualFold(l.Name, g.labels[0]) {
			return r, nil
		}
	}
	// GitHub drops labels silently when the token may not set them.
	r.Text += ", without the label " + g.labels[0] + ", which the token may not set: the next message opens another one"
	return r, nil
}

// ensure makes a label that is not there.
func (g *Issues) ensure(ctx context.Context, label string) error {
	var unread struct{}
	err := g.client.get(ctx, g.repo+"/labels/"+url.PathEscape(label), nil, &unread)
	if !errors.Is(err, lockstep.ErrNotFound) {
		return err
	}
	err = g.client.post(ctx, g.repo+"/labels", map[string]string{"name": label, "color": labelColour, "description": labelText}, &unread)
	if errors.Is(err, lockstep.ErrInvalid) && strings.Contains(err.Error(), "already_exists") {
		return nil // another was first
	}
	if errors.Is(err, lockstep.ErrNotFound) {
		// The label was not found because the repository is not, for this token.
		return lockstep.Hint(err, "look at the repository of recipient "+g.client.name+", and whether its token may write issues there")
	}
	return err
}

// comment adds m to an issue, unless it is there. Only comments since the message was
// made can hold it.
func (g *Issues) comment(ctx context.Context, to issue, m notify.Message) (notify.Receipt, error) {
	path := fmt.Sprintf("%s/issues/%d/comments", g.repo, to.Number)
	query := url.Values{"since": {m.At.Add(-clockSlack).UTC().Format(time.RFC3339)}, "per_page": {strconv.Itoa(perPage)}}
	for page := 1; page <= maxCommentPages; page++ {
		query.Set("page", strconv.Itoa(page))
		var list []comment
		if err := g.client.get(ctx, path, query, &list); err != nil {
			return notify.Receipt{}, err
		}
		for _, c := range list {
			if notify.HasLine(c.Body, notify.MessageMarker(m.ID)) {
				return notify.Receipt{Text: fmt.Sprintf("comment on issue %d", to.Number), Link: c.Link}, nil
			}
		}
		if len(list) < perPage {
			break
		}
	}
	var made comment
	text := body(m, notify.MessageMarker(m.ID), "**"+m.Subject+"**\n")
	if err := g.client.post(ctx, path, map[string]string{"body": text}, &made); err != nil {
		return notify.Receipt{}, err
	}
	return notify.Receipt{Text: fmt.Sprintf("comment on issue %d", to.Number), Link: made.Link}, nil
}

// body is what stands in an issue or a comment: lines that must be whole, and the page of
// the message, cut when it is too long.
func body(m notify.Message, lines ...string) string {
	const more = "\n\n[the rest is cut]\n"
	head := strings.Join(lines, "\n") + "\n\n"
	page := m.Page()
	if room := maxBody - len(head); len(page) > room {
		page = strings.ToValidUTF8(page[:room-len(more)], "") + more
	}
	return head + page
}
