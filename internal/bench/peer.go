package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/lockstep"
)

// PeerResult is what a live Chroma server does with the same change: the keys of a
// place in the metadata of its records, by HTTP update requests over loopback.
type PeerResult struct {
	Missing   string        `json:"missing,omitempty"` // why there is none; the rest is then empty
	Version   string        `json:"version,omitempty"` // of the chromadb that is installed
	Records   int           `json:"records"`           // of its collection
	Took      time.Duration `json:"took_ns"`
	PerSecond float64       `json:"per_second"` // the better of one client and several
	Clients   int           `json:"clients"`    // of the better
	Request   Spread        `json:"request"`    // one request of 250 records, one client
}

const (
	peerRecords = 20_000
	peerBatch   = 250
	peerClients = 4
	peerSustain = 12 * time.Second // it has no work that comes seldom
)

// peer measures the peer, or says why there is none. A peer that is there and does
// not work is an error: it would otherwise be missed by nobody.
func (r *run) peer(ctx context.Context) (PeerResult, error) {
	if r.Python == "" {
		return PeerResult{Missing: "no peer: PY names no interpreter with chromadb"}, nil
	}
	n := min(peerRecords, r.Records)
	r.say("measuring Chroma: %s records, updates of %d", thousands(n), peerBatch)
	version, err := chromaVersion(ctx, r.Python)
	if ctx.Err() != nil {
		return PeerResult{}, ctx.Err()
	}
	if errors.Is(err, lockstep.ErrNotFound) {
		return PeerResult{Missing: "no peer: " + err.Error()}, nil
	}
	if err != nil {
		return PeerResult{}, err
	}
	server, err := startChroma(ctx, r.Python, filepath.Join(r.dir, "chroma"))
	if err != nil {
		return PeerResult{}, fmt.Errorf("peer: %w", err)
	}
	p, err := r.measurePeer(ctx, server, n)
	p.Version = version
	server.stop()
	if err != nil {
		return p, fmt.Errorf("peer: %w: %s", err, server.said())
	}
	r.report.Disk = max(r.report.Disk, sizeOf(r.dir))
	return p, nil
}

func (r *run) measurePeer(ctx context.Context, server *chromaServer, records int) (PeerResult, error) {
	p := PeerResult{Records: records}
	ids, err := fillChroma(ctx, server, records)
	if err != nil {
		return p, err
	}
	for _, clients := range []int{1, peerClients} {
		requests, changed, took, err := r.updatePeer(ctx, server, ids, clients)
		if err != nil {
			return p, err
		}
		if clients == 1 {
			p.Request = spreadOf(requests)
		}
		if rate := float64(changed) / took.Seconds(); rate > p.PerSecond {
			p.PerSecond, p.Clients, p.Took = rate, clients, took
		}
	}
	return p, server.holds(ctx, ids[0])
}

// updatePeer updates records, batch after batch, for the time of a sustained
// measurement. Clients have batches of their own.
func (r *run) updatePeer(ctx context.Context, server *chromaServer, ids []string, clients int) (requests []time.Duration, changed int, took time.Duration, err error) {
	var batches [][]string
	for at := 0; at < len(ids); at += peerBatch {
		batches = append(batches, ids[at:min(at+peerBatch, len(ids))])
	}
	clients = min(clients, len(batches))
	found := make([][]time.Duration, clients)
	counts := make([]int, clients)
	g, gctx := errgroup.WithContext(ctx)
	start := r.Now()
	measured := start.Add(r.Warmup)
	until := measured.Add(min(r.Sustain, peerSustain))
	for c := range clients {
		g.Go(func() error {
			for i, round := c, uint64(0); r.Now().Before(until); round++ {
				batch := batches[i]
				if i += clients; i >= len(batches) {
					i = c
				}
				began := r.Now()
				if err := server.update(gctx, batch, uint64(start.UnixNano())+round); err != nil {
					return err
				}
				// A request that began before the measurement does not count in it.
				if began.After(measured) {
					counts[c] += len(batch)
					found[c] = append(found[c], r.Now().Sub(began))
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, 0, err
	}
	took = r.Now().Sub(measured)
	for c := range clients {
		requests, changed = append(requests, found[c]...), changed+counts[c]
	}
	return requests, changed, took, nil
}
