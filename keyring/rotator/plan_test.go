package rotator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

func TestPlan(t *testing.T) {
	p := keyring.Policy{Interval: time.Hour, TicketLifetime: 12 * time.Hour}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ring := p.First(1, 7, start)
	// base is a leader that holds version 7, which etcd has, since start.
	base := func(after time.Duration) situation {
		return situation{
			policy: p, now: start.Add(after),
			held: held{ring: ring, seen: start, at: start, staged: start},
			etcd: sighting{looked: true, rev: 5, info: ring.Info()},
		}
	}
	rotate, revoke := fleet.Request{Op: fleet.Rotate}, fleet.Request{Op: fleet.Revoke}
	full := p.First(1, 7, start)
	for range keyring.MaxKeys - 2 {
		full, _ = p.Next(full, start, start)
	}

	for name, c := range map[string]struct {
		after time.Duration
		set   func(*situation)
		want  string // of outline
	}{
		"nothing to do":            {time.Minute, nil, "wait 59m0s"},
		"due":                      {time.Hour, nil, "epoch 1 version 8 rotated"},
		"overdue":                  {9 * time.Hour, nil, "epoch 1 version 8 rotated"},
		"staged too fresh":         {time.Hour, func(s *situation) { s.held.staged = s.now.Add(-time.Second) }, "wait 1m59s"},
		"dead":                     {25 * time.Hour, nil, "epoch 1 version 8 fresh ring"},
		"dead for certain":         {25 * time.Hour, func(s *situation) { s.vouched = true }, "epoch 1 version 8 fresh ring"},
		"dead, and others say so":  {25 * time.Hour, func(s *situation) { s.held.guess = true }, "epoch 1 version 8 fresh ring"},
		"dead, but others use it":  {25 * time.Hour, func(s *situation) { s.held.guess, s.vouched = true, true }, "leave"},
		"stale, but others use it": {14 * time.Hour, func(s *situation) { s.held.guess, s.vouched = true, true }, "leave"},
		"aged, and others use it":  {9 * time.Hour, func(s *situation) { s.held.guess, s.vouched = true, true }, "epoch 1 version 8 rotated"},
		"dead, but kept":           {25 * time.Hour, func(s *situation) { s.keep = true }, "epoch 1 version 8 rotated"},
		"first":                    {0, func(s *situation) { s.held = held{}; s.etcd = sighting{refuse: errMissing} }, "epoch 1 version 1 first ring"},
		"first over garbage":       {0, func(s *situation) { s.held = held{}; s.etcd = sighting{refuse: seal.ErrForged} }, "epoch 1 version 1 first ring"},
		"no memory, others have":   {0, func(s *situation) { s.held = held{}; s.peers.Version = 3 }, "leave"},
		"a peer is newer":          {0, func(s *situation) { s.peers = keyring.Info{Epoch: 1, Version: 8} }, "leave"},
		"a peer of a later epoch":  {0, func(s *situation) { s.peers = keyring.Info{Epoch: 2, Version: 2} }, "leave"},
		"a peer is as new":         {time.Minute, func(s *situation) { s.peers = ring.Info() }, "wait 59m0s"},
		"an old epoch brags":       {0, func(s *situation) { s.etcd.refuse = errMissing; s.peers = keyring.Info{Version: 1 << 62} }, "epoch 1 version 8 restored"},
		"unknown KEK":              {time.Hour, func(s *situation) { s.etcd.refuse = fmt.Errorf("x: %w", seal.ErrUnknownKEK) }, "leave"},
		"later format":             {time.Hour, func(s *situation) { s.etcd.refuse = seal.ErrFormat }, "leave"},
		"ring deleted":             {0, func(s *situation) { s.etcd = sighting{refuse: errMissing} }, "epoch 1 version 8 restored"},
		"garbage":                  {0, func(s *situation) { s.etcd = sighting{refuse: seal.ErrForged, rev: 9} }, "epoch 1 version 8 restored"},
		"rolled back":              {0, func(s *situation) { s.etcd.refuse, s.etcd.info.Version = errRolledBack, 3 }, "epoch 1 version 8 restored"},
		"earlier epoch, higher":    {0, func(s *situation) { s.etcd.refuse, s.etcd.info = errRolledBack, keyring.Info{Version: 40} }, "epoch 1 version 41 restored"},
		"fork":                     {0, func(s *situation) { s.etcd.refuse = errFork }, "epoch 1 version 8 restored"},
		"stamp of the future":      {-3 * time.Minute, nil, "epoch 1 version 8 stamp"},
		"clock a minute behind":    {-time.Minute, nil, "wait 1h0m0s"},
		"rotate":                   {2 * time.Minute, func(s *situation) { s.requests = []fleet.Request{rotate} }, "epoch 1 version 8 rotated on request"},
		"rotate too soon":          {time.Minute, func(s *situation) { s.requests = []fleet.Request{rotate} }, "refuse the staged key"},
		"rotate soon, with time":   {time.Minute, func(s *situation) { s.requests = []fleet.Request{{Op: fleet.Rotate, Patience: 61}} }, "wait 1m0s"},
		"rotate, full":             {time.Hour / 2, func(s *situation) { s.held.ring = full; s.requests = []fleet.Request{rotate} }, "refuse keyring: a rotation would need more than 32"},
		"due, full":                {time.Hour, func(s *situation) { s.held.ring = full }, "wait 12h0m0s"},
		"revoke":                   {0, func(s *situation) { s.requests = []fleet.Request{revoke} }, "epoch 2 version 8 revoked"},
		"revoke, full":             {0, func(s *situation) { s.held.ring = full; s.requests = []fleet.Request{revoke} }, "epoch 2 version 38 revoked"},
		"answered already":         {time.Minute, func(s *situation) { s.requests = []fleet.Request{{Op: fleet.Revoke, Answer: &fleet.Answer{}}} }, "wait 59m0s"},
		"restore before revoke":    {0, func(s *situation) { s.etcd.refuse = errMissing; s.requests = []fleet.Request{revoke} }, "epoch 1 version 8 restored"},
		"nonsense":                 {0, func(s *situation) { s.requests = []fleet.Request{{Op: "x"}} }, "refuse unknown operation"},
		"on request only":          {100 * time.Hour, func(s *situation) { s.policy.Manual = true; s.held.ring = s.policy.First(1, 7, start) }, "wait for news"},
		"policy shortened":         {10 * time.Minute, func(s *situation) { s.policy.Interval = 10 * time.Minute; s.policy.TicketLifetime = time.Hour }, "epoch 1 version 8 rotated"},
		"policy lengthened":        {time.Hour, func(s *situation) { s.policy.Interval = 24 * time.Hour }, "epoch 1 version 8 rotated"},
		"policy becomes automatic": {100 * time.Hour, func(s *situation) { m := p; m.Manual = true; s.held.ring = m.First(1, 7, start) }, "epoch 1 version 8 rotated"},
	} {
		s := base(c.after)
		if c.set != nil {
			c.set(&s)
		}
		if got := outline(plan(s), s.now); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: plan = %s, want %s", name, got, c.want)
		}
	}
}

// outline says in words what a decision is.
func outline(d decision, now time.Time) string {
	switch {
	case d.leave != nil:
		return "leave: " + d.leave.Error()
	case d.ring != nil:
		return fmt.Sprintf("epoch %d version %d %s", d.ring.Info().Epoch, d.ring.Info().Version, d.why)
	case d.request != nil:
		return "refuse " + d.refused
	case d.at.IsZero():
		return "wait for news"
	}
	return "wait " + d.at.Sub(now).String()
}

// TestPlanKeepsKeys holds every rewrite to the keys that are held.
func TestPlanKeepsKeys(t *testing.T) {
	p := keyring.Policy{Interval: time.Hour, TicketLifetime: 12 * time.Hour}
	start := time.Now()
	ring := p.First(1, 1, start)
	d := plan(situation{policy: p, now: start.Add(time.Minute), held: held{ring: ring, seen: start, staged: start}, etcd: sighting{refuse: errMissing}})
	if got, want := d.ring.TicketKeys(""), ring.TicketKeys(""); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Error("the ring that was written again has other keys")
	}
	if d.turned {
		t.Error("counted as a rotation")
	}
}
