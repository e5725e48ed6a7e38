package rotator

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/keyring"
)

func newView(p keyring.Policy, o Outage) *view {
	v := &view{}
	v.init(p, o, zap.NewNop(), func() {})
	return v
}

func (v *view) take1(r *keyring.Ring) { v.take(r, digest{byte(r.Info().Version)}, time.Now(), false) }

func opens(r *keyring.Ring, key [keyring.KeySize]byte) bool {
	for _, k := range r.TicketKeys("") {
		if k == key {
			return true
		}
	}
	return false
}

func sealing(r *keyring.Ring) [keyring.KeySize]byte { return r.TicketKeys("")[0] }

var hourly = keyring.Policy{Interval: time.Hour, TicketLifetime: 12 * time.Hour}

// TestOutageOfDays is a node that is cut off for two days, then healed.
func TestOutageOfDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView(hourly, Local)
		atStart := sealing(v.ring(time.Now()))
		shared := hourly.First(1, 1, time.Now())
		v.take1(shared)
		if got := v.ring(time.Now()); sealing(got) != sealing(shared) || !opens(got, atStart) {
			t.Fatal("want the fleet's ring to seal, and tickets of before to open")
		}
		time.Sleep(12*time.Hour - time.Second)
		if sealing(v.ring(time.Now())) != sealing(shared) {
			t.Error("an own key before the bound")
		}
		time.Sleep(time.Second)
		own := sealing(v.ring(time.Now()))
		if own == sealing(shared) || own == atStart {
			t.Error("past the bound: want a fresh own key")
		}
		if !opens(v.ring(time.Now()), sealing(shared)) {
			t.Error("tickets of the fleet no longer open just after the bound")
		}
		time.Sleep(time.Hour)
		if sealing(v.ring(time.Now())) == own {
			t.Error("the own key was not rotated after an interval")
		}
		time.Sleep(12*time.Hour - time.Second)
		if !opens(v.ring(time.Now()), sealing(shared)) {
			t.Error("the fleet's key is gone before its time")
		}
		time.Sleep(time.Second)
		if opens(v.ring(time.Now()), sealing(shared)) {
			t.Error("the fleet's key is there past its time")
		}
		time.Sleep(20 * time.Hour)
		own = sealing(v.ring(time.Now()))
		healed, _ := hourly.Next(shared, time.Now(), time.Now())
		v.take1(healed)
		if got := v.ring(time.Now()); sealing(got) != sealing(healed) || !opens(got, own) {
			t.Error("healed: want the fleet's ring to seal, and tickets of the outage to open")
		}
		time.Sleep(13 * time.Hour)
		if opens(v.ring(time.Now()), own) {
			t.Error("the own key is there past its time")
		}
	})
}

func TestKeepSealsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView(hourly, Keep)
		shared := hourly.First(1, 1, time.Now())
		v.take1(shared)
		time.Sleep(1000 * time.Hour)
		if sealing(v.ring(time.Now())) != sealing(shared) {
			t.Error("outage: keep seals with another key")
		}
	})
}

func TestRevokeDropsOwnKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView(hourly, Local)
		own := sealing(v.ring(time.Now()))
		shared := hourly.First(1, 1, time.Now())
		v.take1(shared)
		revoked := hourly.First(2, 2, time.Now())
		v.take1(revoked)
		if got := v.ring(time.Now()); opens(got, own) || opens(got, sealing(shared)) {
			t.Error("keys of before the revoke still open")
		}
		time.Sleep(13 * time.Hour) // into an outage
		if got := v.ring(time.Now()); opens(got, own) {
			t.Error("an own key of before the revoke came back")
		}
	})
}

// TestSamePointerSameKeys is what tlsbind's cache relies on.
func TestSamePointerSameKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView(hourly, Local)
		v.take1(hourly.First(1, 1, time.Now()))
		last := v.ring(time.Now())
		keys := last.TicketKeys("")
		changes := 0
		for range 24 * 60 * 3 {
			time.Sleep(time.Minute)
			now := v.ring(time.Now())
			if now == last {
				continue
			}
			changes++
			last, keys = now, now.TicketKeys("")
		}
		if len(keys) == 0 || changes == 0 || changes > 2*3*24+4 {
			t.Errorf("%d changes in three days, want about one or two an hour", changes)
		}
	})
}

// TestDerivesAsTheFleet is for what servers read once: whatever becomes of the
// ring's keys, a node that knows the ring derives what all others do.
func TestDerivesAsTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView(hourly, Local)
		alone := v.ring(time.Now()).Derive("a")
		shared := hourly.First(1, 1, time.Now())
		v.take1(shared)
		for range 60 {
			if got := v.ring(time.Now()).Derive("a"); got == alone || got != shared.Derive("a") {
				t.Fatal("Derive differs from the fleet's")
			}
			time.Sleep(time.Hour)
		}
		if opens(v.ring(time.Now()), sealing(shared)) {
			t.Error("the fleet's key still opens, want it long gone")
		}
		v.take1(hourly.First(2, 2, time.Now()))
		if v.ring(time.Now()).Derive("a") == shared.Derive("a") {
			t.Error("after a revoke, Derive has the answer of before")
		}
	})
}
