package status

import (
	"slices"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
)

// key is a key and its life, as planned. Zero is not known, or not planned.
type key struct {
	ID, Role                           string
	Created, Activated, Retired, Drops time.Time
}

// keys returns those of a ring, the last to be dropped first.
func keys(st fleet.Status) (all []key) {
	staged, active := keyring.Staged.String(), keyring.Active.String()
	var replaced time.Time // when the key came that came after
	for _, k := range st.Keys {
		life := key{ID: k.ID, Role: k.Role, Created: k.Created, Activated: k.Activated, Drops: k.DropsAt}
		switch k.Role {
		case active:
			life.Retired = st.NextRotation
		case staged:
			if life.Activated = st.NextRotation; !life.Activated.IsZero() {
				life.Retired = life.Activated.Add(st.Policy.Interval)
			}
		default:
			life.Retired = replaced
		}
		replaced = k.Activated
		all = append(all, life)
	}
	slices.SortStableFunc(all, func(a, b key) int { return order[a.Role] - order[b.Role] })
	return all
}

var order = map[string]int{keyring.Staged.String(): 0, keyring.Active.String(): 1, keyring.Retired.String(): 2}

// width is how many units a timeline is wide.
const width = 1000

// row is a key with its bars.
type row struct {
	key
	Bars []bar
}

// bar is a part of a key's life in which it has a role.
type bar struct {
	Role string
	X, W int
}

// chart is the timeline of all keys, which have one axis.
type chart struct {
	From, To time.Time
	Now      int
	Rows     []row
}

// Chart draws the keys.
func (p page) Chart() chart {
	c := chart{From: p.Now, To: p.Now}
	for _, k := range p.Keys {
		if k.Created.Before(c.From) {
			c.From = k.Created
		}
		if k.Drops.After(c.To) {
			c.To = k.Drops
		}
	}
	// A stamp of a clock that was off must not take up all of the axis.
	if far := p.Now.Add(-2 * p.reach); c.From.Before(far) {
		c.From = far
	}
	if far := p.Now.Add(2 * p.reach); c.To.After(far) {
		c.To = far
	}
	if c.To.Equal(p.Now) { // on request only: nothing is planned
		c.To = p.Now.Add(p.Now.Sub(c.From)/8 + time.Second)
	}
	x := func(t time.Time) int {
		at := float64(t.Sub(c.From)) / float64(c.To.Sub(c.From))
		return int(min(max(0, at), 1) * width)
	}
	c.Now = x(p.Now)
	for _, k := range p.Keys {
		r := row{key: k}
		from := k.Created
		for _, part := range []struct {
			role keyring.Role
			to   time.Time
		}{{keyring.Staged, k.Activated}, {keyring.Active, k.Retired}, {keyring.Retired, k.Drops}} {
			to, name := part.to, part.role.String()
			if name == k.Role && !to.IsZero() && to.Before(p.Now) {
				to = p.Now // it is overdue
			}
			if to.IsZero() {
				to = c.To
			}
			if w := x(to) - x(from); w > 0 {
				r.Bars = append(r.Bars, bar{Role: name, X: x(from), W: w})
			}
			if part.to.IsZero() {
				break
			}
			from = to
		}
		c.Rows = append(c.Rows, r)
	}
	return c
}
