package notify

import (
	"encoding/binary"
	"time"

	"github.com/zeebo/blake3"
)

// Policy says how patient a Courier is. The zero value of each field is its default.
type Policy struct {
	First  time.Duration // the longest wait after the first failure; doubles with each. 0: 5 seconds
	Cap    time.Duration // the longest wait. 0: 15 minutes
	GiveUp time.Duration // a delivery that fails for so long is given up. 0: 72 hours
	Send   time.Duration // one attempt may take so long. 0: 15 seconds
	Round  time.Duration // one round may take so long. 0: 60 seconds
	// Lease is how long a claim holds. A shorter one than three rounds is made so long:
	// a round that is slow must not lose what it has claimed. 0: 3 minutes
	Lease time.Duration
	Seed  uint64 // of the jitter
}

const (
	defaultFirst  = 5 * time.Second
	defaultCap    = 15 * time.Minute
	defaultGiveUp = 72 * time.Hour
	defaultSend   = 15 * time.Second
	defaultRound  = time.Minute
)

func (p Policy) resolved() Policy {
	for _, d := range []struct {
		at       *time.Duration
		fallback time.Duration
	}{{&p.First, defaultFirst}, {&p.Cap, defaultCap}, {&p.GiveUp, defaultGiveUp}, {&p.Send, defaultSend}, {&p.Round, defaultRound}} {
		if *d.at <= 0 {
			*d.at = d.fallback
		}
	}
	p.Send = min(p.Send, p.Round)
	p.Lease = max(p.Lease, 3*p.Round)
	return p
}

// Backoff is how long to wait after attempt number n, from 1, of a delivery: between
// nothing and First, doubled with each attempt up to Cap. It is drawn evenly ("full
// jitter"), so that what failed together does not come back together, and by seed,
// message, recipient and attempt alone, so that the same run can be made again.
func (p Policy) Backoff(id, recipient string, n int) time.Duration {
	p = p.resolved()
	longest := p.Cap
	if shift := max(0, n-1); shift < 32 && p.First<<shift>>shift == p.First {
		longest = min(p.Cap, p.First<<shift)
	}
	h := blake3.New()
	var b [8]byte
	for _, v := range []uint64{p.Seed, uint64(len(id)), uint64(len(recipient)), uint64(n)} {
		binary.BigEndian.PutUint64(b[:], v)
		_, _ = h.Write(b[:]) // a hash takes everything
	}
	_, _ = h.WriteString(id + recipient)
	draw := binary.BigEndian.Uint64(h.Sum(nil))
	return time.Duration(float64(longest) * (float64(draw>>11) / (1 << 53)))
}
