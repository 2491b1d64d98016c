package messenger

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Slack posts to an incoming webhook of Slack, or of a chat that understands the same
// (Mattermost, Rocket.Chat, Discord with /slack). The receiver takes no key: a message
// whose answer was lost may appear twice.
type Slack struct{ hook *hook }

var _ notify.Sender = (*Slack)(nil)

func newSlack(s Settings, o Options) (*Slack, error) {
	h, err := newHook(s, o)
	if err != nil {
		return nil, err
	}
	return &Slack{h}, nil
}

// The limits of Slack, in bytes where it counts characters, so never too long.
const (
	slackHeader   = 150
	slackSection  = 2900
	slackSections = 14
	slackField    = 1900
	slackFields   = 10 // in one section
	slackText     = 3500
)

// Send posts m. Errors are as notify.Sender says.
func (s *Slack) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := begin(ctx, s.hook.name, m); err != nil {
		return notify.Receipt{}, err
	}
	body, err := json.Marshal(slackOf(m))
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: %w: %w", s.hook.name, lockstep.ErrInvalid, err)
	}
	said, err := s.hook.post(ctx, body, http.Header{})
	return notify.Receipt{Text: said}, err
}

type slackMessage struct {
	Text   string       `json:"text"` // for notifications, and for chats that know no blocks
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string        `json:"type"`
	Text     *slackWords   `json:"text,omitempty"`
	Fields   []*slackWords `json:"fields,omitempty"`
	Elements []*slackWords `json:"elements,omitempty"`
}

type slackWords struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"` // no links or mentions made of words
}

func mrkdwn(text string) *slackWords { return &slackWords{"mrkdwn", text, true} }

func slackOf(m notify.Message) slackMessage {
	whole := chunks(m.Subject+"\n"+m.Plain(), slackText, 1)
	out := slackMessage{Text: whole[0]}
	subject := notify.Brief(m.Subject, slackHeader)
	out.Blocks = append(out.Blocks, slackBlock{Type: "header", Text: &slackWords{Type: "plain_text", Text: subject}})
	if subject != m.Subject {
		out.Blocks = append(out.Blocks, slackBlock{Type: "section", Text: mrkdwn(escape(m.Subject))})
	}
	text := m.Text
	if text == "" {
		text = m.Markdown
	}
	for _, c := range chunks(text, slackSection, slackSections) {
		out.Blocks = append(out.Blocks, slackBlock{Type: "section", Text: mrkdwn(c)})
	}
	for i, f := range m.Fields {
		if i%slackFields == 0 {
			out.Blocks = append(out.Blocks, slackBlock{Type: "section"})
		}
		last := &out.Blocks[len(out.Blocks)-1]
		last.Fields = append(last.Fields, mrkdwn(chunks("*"+f.Name+"*\n"+f.Value, slackField, 1)[0]))
	}
	foot := fmt.Sprintf("%s, %s", m.ID, m.At.UTC().Format(time.RFC3339))
	out.Blocks = append(out.Blocks, slackBlock{Type: "context", Elements: []*slackWords{mrkdwn(escape(foot))}})
	return out
}

// escape is what Slack wants of text: three characters, and no others. A text can then
// neither link nor call <!channel>.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func escapedLen(r rune, width int) int {
	switch r {
	case '&':
		return len("&amp;")
	case '<', '>':
		return len("&lt;")
	}
	return width
}

// chunks escapes text and cuts it into at most n pieces of limit bytes, at the ends of
// lines where there are some, never inside of a character or of what escape made of one.
// Pieces without a visible character are left out: Slack refuses them.
func chunks(text string, limit, n int) []string {
	const more = "\n[the rest is cut]"
	var out []string
	for text != "" {
		size, used, line := 0, 0, 0
		for used < len(text) {
			r, width := utf8.DecodeRuneInString(text[used:])
			grown := size + escapedLen(r, width)
			if grown > limit-len(more) {
				break
			}
			if used, size = used+width, grown; r == '\n' {
				line = used
			}
		}
		if used < len(text) && line > used/2 {
			used = line
		}
		piece := escape(text[:used])
		text = text[used:]
		if strings.TrimSpace(piece) == "" {
			continue
		}
		if len(out) == n-1 && strings.TrimSpace(text) != "" {
			return append(out, piece+more)
		}
		out = append(out, piece)
	}
	return out
}
