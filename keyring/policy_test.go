package keyring

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		interval, lifetime time.Duration
		want               string // part of the error; none is sound
	}{
		{time.Hour, 12 * time.Hour, ""},
		{MinInterval, 1, ""},
		{MinInterval, 21 * time.Second, ""},
		{MaxInterval, MaxTicketLifetime, ""},
		{8 * time.Hour, 7 * day, ""},
		{time.Hour, 20*time.Hour + 1, ""},
		{time.Hour, 21 * time.Hour, ""},

		{0, time.Hour, "interval 0s: must lie between 1s and 168h0m0s"},
		{-time.Hour, time.Hour, "interval -1h0m0s"},
		{MinInterval - 1, 1, "interval 999.999999ms"},
		{MaxInterval + 1, time.Hour, "interval 168h0m0.000000001s"},
		{math.MaxInt64, time.Hour, "interval"},
		{math.MinInt64, time.Hour, "interval"},
		{time.Hour, 0, "ticket lifetime 0s: must be above 0 and at most 168h0m0s"},
		{time.Hour, -1, "ticket lifetime -1ns"},
		{MaxInterval, MaxTicketLifetime + 1, "ticket lifetime 168h0m0.000000001s"},
		{MaxInterval, math.MaxInt64, "ticket lifetime"},
		{time.Hour, math.MinInt64, "ticket lifetime"},
		{time.Hour, 21*time.Hour + 1, "needs a ring of 25 keys: must be at most 24"},
		{MinInterval, MaxTicketLifetime, "needs a ring of 604803 keys"},
	} {
		for _, manual := range []bool{false, true} {
			err := Policy{c.interval, c.lifetime, manual}.Validate()
			switch {
			case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Policy{%v, %v, %v}.Validate() = %v, want %q", c.interval, c.lifetime, manual, err, c.want)
			}
		}
	}
}

// TestPlannedKeys holds the rule of 24 keys to what rotations on time make.
func TestPlannedKeys(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		want   int
	}{
		{hourly, 15},
		{weekly, 4},
		{uneven, 24},
		{Policy{Interval: time.Hour, TicketLifetime: time.Minute}, 4},
		{Policy{Interval: time.Hour, TicketLifetime: 21 * time.Hour}, 24},
	} {
		now, most := base, 0
		r := c.policy.First(1, 1, now)
		for range 60 {
			seen := now
			now = now.Add(c.policy.Interval)
			var err error
			if r, err = c.policy.Next(r, seen, now); err != nil {
				t.Fatal(err)
			}
			most = max(most, len(r.Info().Keys))
		}
		if most != c.want {
			t.Errorf("60 rotations under %v made a ring of %d keys, want %d", c.policy, most, c.want)
		}
	}
}

func TestSettle(t *testing.T) {
	for _, c := range []struct{ interval, want time.Duration }{
		{time.Second, 500 * time.Millisecond},
		{3 * time.Minute, 90 * time.Second},
		{4 * time.Minute, 2 * time.Minute},
		{time.Hour, 2 * time.Minute},
		{MaxInterval, 2 * time.Minute},
	} {
		if got := (Policy{Interval: c.interval}).Settle(); got != c.want {
			t.Errorf("Policy{%v}.Settle() = %v, want %v", c.interval, got, c.want)
		}
	}
}

func TestPolicyJSON(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		want   string
	}{
		{hourly, `{"interval":"1h0m0s","ticket_lifetime":"12h0m0s"}`},
		{onorder, `{"interval":"1h0m0s","ticket_lifetime":"12h0m0s","manual":true}`},
		{Policy{}, `{"interval":"0s","ticket_lifetime":"0s"}`},
	} {
		b, err := json.Marshal(c.policy)
		if string(b) != c.want || err != nil {
			t.Errorf("json.Marshal(%#v) = %s, %v, want %s", c.policy, b, err, c.want)
		}
		var back Policy
		if err := json.Unmarshal([]byte(c.want), &back); back != c.policy || err != nil {
			t.Errorf("json.Unmarshal(%s) = %#v, %v, want %#v", c.want, back, err, c.policy)
		}
	}
	for _, bad := range []string{
		`{"interval":"1h"}`, `{"ticket_lifetime":"1h"}`, `{"interval":"1","ticket_lifetime":"1h"}`,
		`{"interval":3600,"ticket_lifetime":"1h"}`, `[]`,
	} {
		var p Policy
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("json.Unmarshal(%s) = %#v, want an error", bad, p)
		}
	}
}
