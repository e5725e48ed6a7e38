package keyring

import (
	"errors"
	"fmt"
	"time"
)

// Import returns a first ring with the keys in a record of Caddy's distributed
// session ticket module, its stek.bin: the newest is active, the others are
// retired, and a fresh one is staged. Such a record does not say when its keys
// began to seal, so that goes by its interval and by the clock: a key that p
// would have dropped by now is left out, and one that has sealed for too long
// is retired. An error says what is wrong with the record, or that nothing is
// left of it.
func (p Policy) Import(caddy []byte, now time.Time) (*Ring, error) {
	var rec record
	if err := decode(caddy, &rec); err != nil {
		return nil, err
	}
	n := len(rec.Keys)
	switch {
	case len(rec.IDs) > 0:
		return nil, errors.New("keyring: a record of this program: only Caddy's can be imported")
	case n == 0:
		return nil, errors.New("keyring: a record without keys")
	case n > MaxKeys-2:
		return nil, fmt.Errorf("keyring: a record of %d keys: must be at most %d", n, MaxKeys-2)
	case !sane(rec.LastRotation):
		return nil, errNoTime
	}
	age := max(0, now.Sub(rec.LastRotation))
	interval := min(max(0, rec.NextRotation.Sub(rec.LastRotation)), 365*24*time.Hour) // the bound is against overflow

	r := &Ring{info: Info{Epoch: 1, Version: 1, Rotated: stamp(now.Add(-age)), Policy: p}, epoch: fresh()}
	for i := range rec.Keys {
		began := stamp(now.Add(-age - time.Duration(i)*interval))
		k := Key{ID: freshID(), Role: Active, Created: began, Activated: began, Sealed: age}
		if i > 0 {
			// It stopped sealing when the one before it began.
			k.Role, k.Sealed, k.Left = Retired, 0, p.Retirement()-age-time.Duration(i-1)*interval
			if k.Left <= 0 {
				break
			}
		}
		r.add(k, keep(&rec.Keys[i]))
	}
	r.add(Key{Role: Staged, Created: stamp(now)}, nil)
	if stale := r.Stale(now); !stale.IsZero() && !now.Before(stale) {
		next, err := p.Next(r, now, now)
		if err != nil {
			return nil, err
		}
		if len(next.secret) == 2 {
			return nil, fmt.Errorf("keyring: its keys have all had their time: it was last rotated %v ago", age.Round(time.Second))
		}
		next.info.Version = 1
		r = next
	}
	return r, r.validate()
}
