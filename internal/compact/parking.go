package compact

import (
	"context"
	"fmt"
	"slices"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// waits is the reason of a message that is parked only because of its key.
const waits = "an earlier message of this key is parked"

// park sets the messages from index `from` on aside: the first with the reason its
// handler gave, the others because their order must hold. What the mirror has
// already seen is not parked again.
func (p *planner) park(ctx context.Context, out *planned, from int, reason string) error {
	j := out.job
	if from >= len(j.messages) {
		return nil
	}
	have, next, err := p.parkedOf(ctx, j.group)
	if err != nil {
		return err
	}
	s, err := p.handled(out, from)
	if err != nil {
		return err
	}
	out.ranges = append(out.ranges, span{lockstep.Parked, change.ParkedPrefix(j.group), true})
	for i := from; i < len(j.messages); i++ {
		m := &j.messages[i]
		// Whether it must be parked depends on the mirror: without this a message that
		// another compactor has handled meanwhile would be parked all the same.
		out.ranges = append(out.ranges, span{c: lockstep.Table, id: m.Change.Key.RecordID()})
		_, got, _, err := p.merge(s, m)
		if err != nil {
			return err
		}
		outcome := lockstep.Outcome("")
		switch {
		case !got.Effect:
			outcome = got.Outcome
		case have[m.ID]:
			outcome = lockstep.Duplicate
		}
		if out.outcomes[i].Outcome = outcome; outcome != "" {
			continue
		}
		why := reason
		if i > from || reason == "" {
			why = waits
		}
		out.outcomes[i] = Outcome{lockstep.ParkedAway, why}
		rec := change.ParkedRecord(change.Parked{Message: *m, Arrival: next, Reason: why, At: p.now, Attempts: 1, Blocked: why == waits})
		next++
		have[m.ID] = true
		p.add(out, version.Mutation{Collection: lockstep.Parked, ID: rec.ID, Cause: i, After: version.AppendRecord(nil, &rec)})
	}
	return nil
}

// handled returns the mirror as the messages before index n leave it that had an
// effect: what comes behind them may be older.
func (p *planner) handled(out *planned, n int) (*sight, error) {
	s := &sight{items: map[string]*mirrored{}}
	for i := range n {
		if o := out.outcomes[i].Outcome; o != lockstep.Applied && o != lockstep.Unchanged {
			continue
		}
		known, got, _, err := p.merge(s, &out.job.messages[i])
		if err != nil {
			return nil, err
		}
		if got.Effect {
			known.item = got.Item
		}
	}
	return s, nil
}

// parkedOf returns the ids of the messages that wait in a group, and the next
// order number.
func (p *planner) parkedOf(ctx context.Context, group string) (map[string]bool, uint64, error) {
	have, next := map[string]bool{}, uint64(1)
	err := p.reader.Scan(ctx, lockstep.Parked, change.ParkedPrefix(group), func(row state.Row) error {
		pk, err := parkedFrom(row, p.schema)
		if err != nil {
			return err
		}
		have[pk.Message.ID], next = true, max(next, pk.Arrival+1)
		return nil
	})
	return have, next, err
}

func parkedFrom(row state.Row, schema change.Schema) (change.Parked, error) {
	rec, err := version.DecodeRecord(string(row.ID), row.Record)
	if err != nil {
		return change.Parked{}, err
	}
	return change.ParseParked(rec, schema)
}

// settle removes the parked records of the messages before index `failed`, which
// now are handled or given up, and notes the new failure at the one that failed.
func (p *planner) settle(out *planned, failed int, reason string) error {
	j := out.job
	out.ranges = append(out.ranges, span{lockstep.Parked, change.ParkedPrefix(j.group), true})
	for i, id := range j.retry.records {
		m := version.Mutation{Collection: lockstep.Parked, ID: id, Cause: i, Before: j.retry.images[i], Author: j.retry.authors[i]}
		if !kept(out.outcomes[i].Outcome) {
			m.Cause = -1
		}
		if i >= failed {
			// It stays parked: that is its outcome, and it is in the archive already.
			out.outcomes[i] = Outcome{lockstep.ParkedAway, waits}
			if i > failed {
				continue
			}
			out.outcomes[i].Reason = reason
			rec, err := version.DecodeRecord(id, j.retry.images[i])
			if err != nil {
				return err
			}
			pk, err := change.ParseParked(rec, p.schema)
			if err != nil {
				return err
			}
			pk.Reason, pk.Attempts, pk.Blocked, pk.At = reason, pk.Attempts+1, false, p.now
			rec = change.ParkedRecord(pk)
			m.Cause, m.After = -1, version.AppendRecord(nil, &rec)
		}
		p.add(out, m)
	}
	return nil
}

// planMalformed keeps input that could not be read, once.
func (p *planner) planMalformed(j *job) (*planned, error) {
	out := &planned{job: j, outcomes: []Outcome{{lockstep.BadInput, j.bad.Reason}}}
	rec := change.MalformedRecord(*j.bad)
	out.ranges = []span{{c: lockstep.Malformed, id: rec.ID}}
	known, err := p.reader.Get(lockstep.Malformed, rec.ID, func(state.Row) error { return nil })
	if err != nil || known {
		return out, err
	}
	out.archive = []version.Archived{{ID: rec.ID, Source: j.bad.Source, Outcome: lockstep.BadInput, Reason: j.bad.Reason, Body: slices.Clone(j.bad.Body)}}
	p.add(out, version.Mutation{Collection: lockstep.Malformed, ID: rec.ID, Cause: 0, After: version.AppendRecord(nil, &rec)})
	return out, nil
}

// reread returns the job with the messages that are parked in its group now.
func (p *planner) reread(ctx context.Context, j *job) (*job, error) {
	out := &job{group: j.group, retry: &retry{drop: j.retry.drop, slots: j.retry.slots}}
	err := p.reader.Scan(ctx, lockstep.Parked, change.ParkedPrefix(j.group), func(row state.Row) error {
		pk, err := parkedFrom(row, p.schema)
		if err != nil {
			return err
		}
		slot, ok := j.retry.slots[pk.Message.ID]
		if !ok {
			slot = -1 // parked since the retry was asked for
		}
		out.messages, out.slots = append(out.messages, pk.Message), append(out.slots, slot)
		out.retry.records = append(out.retry.records, string(row.ID))
		out.retry.images = append(out.retry.images, slices.Clone(row.Record))
		out.retry.authors = append(out.retry.authors, row.Author())
		return nil
	})
	return out, err
}

// parkedJobs returns jobs that try the parked messages of the groups again, all when
// groups is empty, and the number of messages.
func parkedJobs(ctx context.Context, r *state.Reader, schema change.Schema, groups []string) ([]*job, int, error) {
	var jobs []*job
	n := 0
	err := r.Scan(ctx, lockstep.Parked, "", func(row state.Row) error {
		pk, err := parkedFrom(row, schema)
		if err != nil {
			return err
		}
		group := pk.Message.Group
		if len(groups) > 0 && !slices.Contains(groups, group) {
			return nil
		}
		if len(jobs) == 0 || jobs[len(jobs)-1].group != group { // those of a group are neighbours
			jobs = append(jobs, &job{group: group, retry: &retry{drop: map[string]string{}, slots: map[string]int{}}})
		}
		jobs[len(jobs)-1].retry.slots[pk.Message.ID] = n
		n++
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the parked messages: %w", err)
	}
	return jobs, n, nil
}
