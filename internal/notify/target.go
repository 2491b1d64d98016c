package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// The states of a step that tells.
const (
	Untold = "untold"
	Told   = "told"
)

// Target is the step of a rollback that tells people: the targets "notify" and "issue",
// which differ in their recipients and in the item of the checklist that they speak for.
// The step is done when every recipient has the message. When one is down, the step
// fails and says who; the message stays in the outbox, whoever delivers from it goes on,
// and the step is found done when that was successful.
type Target struct {
	Outbox  *Outbox
	Courier *Courier
	Item    string // rollback.ItemNotified or rollback.ItemIssue
	Now     func() time.Time
	// Compose makes the text when the step is done, so that it says how things are then
	// and not how they were planned. It gets the message of the plan; ID, topic and kind
	// stay. Nil: the text is that of the plan.
	Compose func(ctx context.Context, planned Message) (Message, error)
}

var _ rollback.Target = (*Target)(nil)

// params are what a step knows.
type params struct {
	Message    Message  `json:"message"`
	Recipients []string `json:"recipients"`
}

const (
	lookAgain = 250 * time.Millisecond
	patience  = 30 * time.Second
)

// Plan returns the step that brings m to the recipients, for the target of a name.
// ErrInvalid: m is malformed, or nobody is named.
func Plan(target string, m Message, recipients []string) (rollback.Step, error) {
	m = m.Fitted()
	if _, _, err := (State{}).Put(m, recipients, m.At); err != nil {
		return rollback.Step{}, fmt.Errorf("plan step %s: %w", target, err)
	}
	p, err := json.Marshal(params{m, recipients})
	if err != nil {
		return rollback.Step{}, fmt.Errorf("plan step %s: %w: %w", target, lockstep.ErrInvalid, err)
	}
	return rollback.Step{
		ID: target, Target: target, Phase: rollback.PhaseTell,
		Title: "Tell " + strings.Join(recipients, ", ") + ": " + m.Subject,
		From:  Untold, To: Told, Params: p,
		Deadline: 3 * time.Minute, Predicted: 2 * time.Second,
		Changes: "One message, " + m.ID + ", to " + strings.Join(recipients, ", "),
		Risk:    "A recipient that is down gets it later, from any process that serves this store",
		Manual:  "Tell them yourself: the text is in the outbox and in the report of the incident",
		UndoBy:  "What is said is said; a correction is a new message",
	}, nil
}

func paramsOf(s rollback.Step) (params, error) {
	var p params
	dec := json.NewDecoder(bytes.NewReader(s.Params))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return p, fmt.Errorf("step %s: %w parameters: %w", s.ID, lockstep.ErrInvalid, err)
	}
	if err := p.Message.Check(); err != nil {
		return p, fmt.Errorf("step %s: %w", s.ID, err)
	}
	if len(p.Recipients) == 0 {
		return p, fmt.Errorf("step %s: %w parameters: no recipients", s.ID, lockstep.ErrInvalid)
	}
	return p, nil
}

// Look says whether everybody has the message.
func (t *Target) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	if err := ctx.Err(); err != nil {
		return rollback.Sight{}, err
	}
	p, err := paramsOf(at.Step)
	if err != nil {
		return rollback.Sight{}, err
	}
	if k, ok := keptOf(at.Kept, p.Recipients); ok {
		return t.told(k), nil
	}
	s, err := t.Outbox.State(ctx)
	if err != nil {
		return rollback.Sight{}, fmt.Errorf("look at the outbox: %w", err)
	}
	item, ok := s.Find(p.Message.ID)
	if !ok {
		return rollback.Sight{State: Untold, Detail: "nothing was put into the outbox"}, nil
	}
	if k, ok := tellings(item, p.Recipients); ok {
		return t.told(k), nil
	}
	missing := missing(item, p.Recipients)
	return rollback.Sight{State: rollback.Partial, Detail: missing, Evidence: []rollback.Evidence{{Item: t.Item, Text: missing}}}, nil
}

// Do puts the message into the outbox, unless it is there, and tries once to bring it to
// everybody who has not got it. ErrUnavailable: somebody is missing, and the error says
// who; the message is in the outbox and is tried again without this step.
func (t *Target) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := paramsOf(at.Step)
	if err != nil {
		return err
	}
	if _, told := keptOf(at.Kept, p.Recipients); told {
		return nil
	}
	item, err := t.put(ctx, p)
	if err != nil {
		return err
	}
	if _, told := tellings(item, p.Recipients); !told {
		keep.Say("telling "+strings.Join(p.Recipients, ", "), 0, int64(len(p.Recipients)))
		if err := t.deliver(ctx, p.Message.ID); err != nil {
			return fmt.Errorf("deliver %q: %w", p.Message.ID, err)
		}
		if item, err = t.find(ctx, p.Message.ID); err != nil {
			return err
		}
	}
	k, told := tellings(item, p.Recipients)
	if !told {
		return lockstep.Hint(fmt.Errorf("%w: not everybody has the message: %s", lockstep.ErrUnavailable, missing(item, p.Recipients)),
			`it stays in the outbox and a running server goes on trying; "lockstep rollback resume" tries at once and looks again`)
	}
	raw, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keep who was told: %w", err)
	}
	return keep.Keep(ctx, raw)
}

// deliver tries once, and waits for others who are at it: a running server may have
// taken up the message as soon as it was put.
func (t *Target) deliver(ctx context.Context, id string) error {
	for waited := time.Duration(0); ; waited += lookAgain {
		r, err := t.Courier.DeliverMessage(ctx, t.Now(), id)
		if err != nil || !r.Busy || waited >= patience {
			return err
		}
		if err := t.Outbox.wait(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// put composes and puts the message, unless an earlier Do has.
func (t *Target) put(ctx context.Context, p params) (Item, error) {
	s, err := t.Outbox.State(ctx)
	if err != nil {
		return Item{}, fmt.Errorf("look at the outbox: %w", err)
	}
	m := p.Message
	if item, there := s.Find(m.ID); there {
		m = item.Message
	} else if t.Compose != nil {
		composed, err := t.Compose(ctx, m)
		if err != nil {
			return Item{}, fmt.Errorf("compose %q: %w", m.ID, err)
		}
		composed.ID, composed.Topic, composed.Kind = m.ID, m.Topic, m.Kind
		m = composed.Fitted()
	}
	if err := t.Outbox.Put(ctx, t.Courier.Name, m, p.Recipients, t.Now()); err != nil {
		return Item{}, err
	}
	return t.find(ctx, m.ID)
}

func (t *Target) find(ctx context.Context, id string) (Item, error) {
	s, err := t.Outbox.State(ctx)
	if err != nil {
		return Item{}, fmt.Errorf("look at the outbox: %w", err)
	}
	item, ok := s.Find(id)
	if !ok {
		return Item{}, fmt.Errorf("message %q: %w in the outbox", id, lockstep.ErrNotFound)
	}
	return item, nil
}

// Undo returns nil: what is said cannot be taken back, and a correction is a message of
// its own.
func (*Target) Undo(context.Context, rollback.At) (*rollback.Step, error) { return nil, nil }
