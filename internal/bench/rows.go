package bench

import (
	"fmt"
	"time"
)

// The targets of DESIGN 13.
const (
	targetUpdates = 100_000 // records per second
	targetRatio   = 20      // times the peer
	targetP50     = 25 * time.Millisecond
	targetP99     = 150 * time.Millisecond
	targetBytes   = 2.0 // times the mutations
	targetReset   = 100 * time.Millisecond
	targetFlat    = 1.2 // large over small
	targetRevert  = 3 * time.Second
	// targetRevertFlat is the tenfold index over the smaller one, of the same revert.
	targetRevertFlat = 1.3
	targetMemory     = 300e6 // bytes
	targetCold       = 3 * time.Second
	legacyReupload   = 674 // MB, by every compaction of the legacy pipeline
)

// rows makes the table of what was found.
func (r *Report) rows() {
	r.Rows = nil
	if w := r.Work; w != nil {
		r.updateRows(w)
		r.latencyRows(w)
	}
	r.bytesRows()
	if w := r.Work; w != nil {
		r.resetRows(w)
		r.revertRows(w)
	}
	r.memoryRow()
	r.coldRow()
	r.peerRow()
}

func (r *Report) add(row Row) { r.Rows = append(r.Rows, row) }

func (r *Report) updateRows(w *WorkResult) {
	u := w.Updates
	if u == nil {
		return
	}
	rate, building := u.PerSecond(), ""
	if u.Building {
		building = " and another begun"
	}
	r.add(Row{
		Name: "updates", What: "sustained metadata updates, in a version and durable", Measured: thousands(int(rate)) + " records/s", Value: rate, Unit: "records/s",
		Target: ">= " + thousands(targetUpdates) + " records/s", Met: new(rate >= targetUpdates), Peer: r.peerRate(),
		Note: fmt.Sprintf("%s records changed by %s place changes in %.1f s, as %s versions with %.0f MB of deltas, %d bases built meanwhile%s; median second %s, worst %s records; the process had %.1f of %d CPUs",
			thousands(u.Changed), thousands(u.Messages), u.Took.Seconds(), thousands(u.Versions), mb(u.Delta), u.Bases, building, thousands(int(u.Second)), thousands(int(u.Worst)),
			u.CPU.Seconds()/max(u.Took.Seconds(), 1e-9), r.Machine.CPUs),
	})
	row := Row{Name: "updates_ratio", What: "the same, against the peer", Measured: "-", Unit: "times", Target: fmt.Sprintf(">= %dx", targetRatio), Peer: r.peerRate()}
	if p := r.Peer; p != nil && p.PerSecond > 0 {
		row.Value = rate / p.PerSecond
		row.Measured, row.Met = fmt.Sprintf("%.0fx", row.Value), new(row.Value >= targetRatio)
	}
	r.add(row)
}

// peerRate is the peer's cell of the updates.
func (r *Report) peerRate() string {
	switch p := r.Peer; {
	case p == nil:
		return ""
	case p.Missing != "":
		return p.Missing
	default:
		return thousands(int(p.PerSecond)) + " records/s"
	}
}

func (r *Report) latencyRows(w *WorkResult) {
	l := w.Latency
	if l == nil {
		return
	}
	for _, way := range []struct {
		name, what string
		Spread
	}{{"latency_process", "one change, accepted -> in a version, in process", l.Process}, {"latency_http", "one change, accepted -> in a version, over HTTP", l.HTTP}} {
		row := Row{
			Name: way.name, What: way.what, Measured: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", ms(way.P50), ms(way.P99)), Value: ms(way.P50), Unit: "ms",
			Target: fmt.Sprintf("p50 <= %d ms, p99 <= %d ms", targetP50.Milliseconds(), targetP99.Milliseconds()), Met: new(way.P50 <= targetP50 && way.P99 <= targetP99),
		}
		if way.name == "latency_http" {
			row.Note = fmt.Sprintf("%d changes one after the other, half places (some 200 records, p50 %.1f ms), half labels (1 record, p50 %.1f ms)", way.Samples, ms(l.Place), ms(l.Label))
			if p := r.Peer; p != nil && p.Missing == "" {
				row.Peer = fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", ms(p.Request.P50), ms(p.Request.P99))
				row.Note += fmt.Sprintf("; the peer's is one update request of %d records", peerBatch)
			}
		}
		r.add(row)
	}
}

func (r *Report) bytesRows() {
	for i, b := range r.Bytes {
		w := b.Batch
		ratio := w.Ratio()
		r.add(Row{
			Name: fmt.Sprintf("bytes_%d", b.Records), What: fmt.Sprintf("bytes written per compaction, %s records", thousands(b.Records)),
			Measured: fmt.Sprintf("%.2fx (%.2f MB)", ratio, mb(w.Bytes)), Value: ratio, Unit: "times", Target: bytesTarget(), Met: new(ratio <= targetBytes),
			Peer: fmt.Sprintf("all of it: %.0f MB here, %d MB in the legacy pipeline", mb(b.Base), legacyReupload),
			Note: fmt.Sprintf("%d place changes, %s mutations: ids and images after are %.2f MB, or %.2f MB compressed, of which %.2fx was written, with before images and messages; "+
				"one place: %s mutations of %.1f kB, %.1f kB written; a base, written when the deltas outweigh the last one, at most doubles this",
				w.Messages, thousands(w.Mutations), mb(w.Plain), mb(w.Packed), float64(w.Bytes)/float64(max(w.Packed, 1)),
				thousands(b.Place.Mutations), float64(b.Place.Plain)/1e3, float64(b.Place.Bytes)/1e3),
		})
		if i < len(r.Bytes)-1 {
			continue
		}
		l := b.Label
		r.add(Row{
			Name: "bytes_label", What: fmt.Sprintf("the same of one label, the least there is, %s records", thousands(b.Records)),
			Measured: fmt.Sprintf("%.2fx (%.1f kB)", l.Ratio(), float64(l.Bytes)/1e3), Value: l.Ratio(), Unit: "times", Target: bytesTarget(), Met: new(l.Ratio() <= targetBytes),
			Note: fmt.Sprintf("%d mutations (the word and the mirrored item) of %.1f kB; besides them a version holds the message, the images before and its own description", l.Mutations, float64(l.Plain)/1e3),
		})
	}
}

func bytesTarget() string { return fmt.Sprintf("<= %.0fx the mutations", targetBytes) }

func (r *Report) resetRows(w *WorkResult) {
	if w.Small == nil || w.Large == nil {
		return
	}
	for _, s := range []*ResetResult{w.Small, w.Large} {
		r.add(Row{
			Name: fmt.Sprintf("reset_%d", s.Records), What: fmt.Sprintf("reset --to, %s records", thousands(s.Records)), Measured: fmt.Sprintf("%.1f ms", ms(s.Reset)), Value: ms(s.Reset), Unit: "ms",
			Target: fmt.Sprintf("<= %d ms", targetReset.Milliseconds()), Met: new(s.Reset <= targetReset),
			Note: fmt.Sprintf("median of %d: the store opened, the version published, its digest that of the version returned to; the local state is back, and its own sums agree, after %.0f ms; "+
				"the %d messages that came after (%s records) are in again, with the digest of before, after %.0f ms", s.Samples, ms(s.Restored), s.Messages, thousands(s.Changed), ms(s.Replayed)),
		})
	}
	flat := float64(w.Large.Reset) / float64(max(w.Small.Reset, 1))
	r.add(Row{
		Name: "reset_flat", What: fmt.Sprintf("reset, %s records to %s", thousands(w.Large.Records), thousands(w.Small.Records)), Measured: fmt.Sprintf("%.2fx", flat), Value: flat, Unit: "times",
		Target: fmt.Sprintf("<= %.1fx", targetFlat), Met: new(flat <= targetFlat),
	})
	r.add(Row{
		Name: "replay", What: "reset and replay of what came after", Measured: fmt.Sprintf("%.0f ms", ms(w.Large.Replayed)), Value: ms(w.Large.Replayed), Unit: "ms",
		Note: fmt.Sprintf("%d messages, %s records changed, in an index of %s; the digest is that of before the reset", w.Large.Messages, thousands(w.Large.Changed), thousands(w.Large.Records)),
	})
}

func (r *Report) revertRows(w *WorkResult) {
	if w.RevertMiddle == nil || w.RevertLarge == nil {
		return
	}
	l, m := w.RevertLarge, w.RevertMiddle
	r.add(Row{
		Name: "revert", What: fmt.Sprintf("revert of %s touched records, proven, %s records", thousands(l.Touched), thousands(l.Records)),
		Measured: fmt.Sprintf("%.2f s", l.Proven.Seconds()), Value: l.Proven.Seconds(), Unit: "s",
		Target: fmt.Sprintf("<= %.0f s", targetRevert.Seconds()), Met: new(l.Proven <= targetRevert),
		Note: fmt.Sprintf("median of %d: worked out on a branch and published in %.2f s; then the counterfactual of the whole history since, %d messages of %d versions, with the same digest", l.Samples, l.Reverted.Seconds(), l.Messages, l.Versions),
	})
	flat := float64(l.Proven) / float64(max(m.Proven, 1))
	r.add(Row{
		Name: "revert_flat", What: fmt.Sprintf("the same, %s records to %s", thousands(l.Records), thousands(m.Records)), Measured: fmt.Sprintf("%.2fx", flat), Value: flat, Unit: "times",
		Target: fmt.Sprintf("<= %.1fx", targetRevertFlat), Met: new(flat <= targetRevertFlat), Note: fmt.Sprintf("%s touched records there too: %.2f s", thousands(m.Touched), m.Proven.Seconds()),
	})
}

func (r *Report) memoryRow() {
	w := r.Work
	if w == nil || w.Updates == nil {
		return
	}
	row := Row{Name: "memory", What: "peak memory of the process under these updates", Measured: "not known on this system", Unit: "MB", Target: fmt.Sprintf("<= %.0f MB", targetMemory/1e6)}
	if w.Memory > 0 {
		row.Value = mb(w.Memory)
		row.Measured, row.Met = fmt.Sprintf("%.0f MB", row.Value), new(w.Memory <= targetMemory)
		row.Note = fmt.Sprintf("VmHWM of a process that opened the loaded index, with its start and warm-up; %.0f MB after the single changes and the resets too", mb(w.Peak))
	}
	r.add(row)
}

func (r *Report) coldRow() {
	c := r.Cold
	if c == nil {
		return
	}
	r.add(Row{
		Name: "cold", What: fmt.Sprintf("cold start from the store, %s records", thousands(c.Records)), Measured: fmt.Sprintf("%.2f s", c.Ready.Seconds()), Value: c.Ready.Seconds(), Unit: "s",
		Target: fmt.Sprintf("<= %.0f s", targetCold.Seconds()), Met: new(c.Ready <= targetCold),
		Note: fmt.Sprintf("median of %d new processes without a local state: a base and %d deltas, digest checked; the first commit then takes %.1f ms; peak memory %.0f MB; the files are in the page cache",
			c.Samples, c.Deltas, ms(c.First), mb(c.Memory)),
	})
}

func (r *Report) peerRow() {
	p := r.Peer
	if p == nil {
		return
	}
	row := Row{Name: "peer", What: "Chroma, metadata updates over HTTP", Measured: p.Missing, Unit: "records/s"}
	if p.Missing == "" {
		row.Measured, row.Value = thousands(int(p.PerSecond))+" records/s", p.PerSecond
		row.Note = fmt.Sprintf("Chroma %s, update requests of %d over loopback with the five keys of a place; 1 client and %d at once were tried, %.1f s each, and the better rate is that of %d; "+
			"its collection has %s records only, words of the same receipts", p.Version, peerBatch, peerClients, p.Took.Seconds(), p.Clients, thousands(p.Records))
	}
	r.add(row)
}
