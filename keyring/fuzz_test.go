package keyring

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/allocated"
)

// FuzzParse holds every record to this, ours or Caddy's: it is refused, by an
// error of this package, or it is a ring that can be written, read back, used
// and rotated.
func FuzzParse(f *testing.F) {
	f.Add(golden(f))
	caddy, _ := madeByCaddy(f)
	f.Add(caddy)
	for _, flaw := range flaws {
		rec := knownRecord()
		flaw.do(&rec)
		f.Add(encode(f, rec))
	}
	for _, b := range hostiles(f) {
		if len(b) < 1<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := hourly.Import(b, base); err == nil {
			reread(t, r)
		} else if !strings.HasPrefix(err.Error(), "keyring: ") {
			t.Errorf("Import(%q) = %v, want an error of this package alone", b, err)
		}
		var r *Ring
		var err error
		allocated.Check(t, b, func() { r, err = Parse(b) })
		if err != nil {
			if r != nil || !strings.HasPrefix(err.Error(), "keyring: ") {
				t.Errorf("Parse(%q) = %v, %v, want an error of this package alone", b, r, err)
			}
			return
		}
		reread(t, r)
		p, seen := r.Info().Policy, r.Seen(base)
		for _, now := range []time.Time{base, base.Add(p.Interval), base.Add(year), base.Add(-year)} {
			if live, next := r.Live(seen, now); live != nil && !next.IsZero() && !now.Before(next) {
				t.Errorf("Live(%s) of %v = until %s, want later", offset(now), r, offset(next))
			}
			r.Stale(now)
			p.Due(r, seen, now)
			p.Again(r, 1, seen, now).Capped(r, seen, now)
			if n, err := p.Next(r, seen, now); err == nil && n.Info().Version <= math.MaxInt64 {
				reread(t, n)
			}
		}
	})
}

// reread checks that r is written, and read back as it was.
func reread(t *testing.T, r *Ring) {
	t.Helper()
	b, err := r.Marshal()
	if err != nil {
		t.Fatalf("Marshal of %v = %v", r, err)
	}
	n, err := Parse(b)
	if err != nil {
		t.Fatalf("Parse of what Marshal made of %v = %v", r, err)
	}
	if !reflect.DeepEqual(n.Info(), inMillis(r)) || !slices.Equal(n.TicketKeys(""), r.TicketKeys("")) {
		t.Fatalf("Parse of what Marshal made of %v = %v", r, n)
	}
}
