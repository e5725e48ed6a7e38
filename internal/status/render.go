package status

import (
	"fmt"
	"strings"
	"time"
)

// page is a view at an instant.
type page struct {
	view
	Now    time.Time
	Assets string
}

// recent is how many events are shown at first.
const recent = 10

// instant is a point in time on the page. Kind says how it is told: ago, for, in,
// due or drop. The script goes on telling it.
type instant struct {
	At         time.Time
	Kind, Text string
}

func (i instant) ISO() string { return i.At.Format("2006-01-02T15:04:05.000Z07:00") }
func (i instant) UTC() string { return i.At.Format("2006-01-02 15:04:05 UTC") }

// At tells when something was or will be.
func (p page) At(t time.Time, kind string) instant {
	to := t.Sub(p.Now)
	i := instant{At: t.UTC(), Kind: kind}
	switch {
	case kind == "ago":
		i.Text = span(-to) + " ago"
	case kind == "for":
		i.Text = span(-to)
	case to > 0:
		i.Text = "in " + span(to+time.Second-1) // a countdown ends at 0
	case kind == "due":
		i.Text = span(-to) + " overdue"
	case kind == "drop":
		i.Text = "dropped"
	default:
		i.Text = "now"
	}
	return i
}

// told is an event and when it was.
type told struct {
	event
	When instant
}

func (p page) Event(e event) told { return told{e, p.At(e.At, "ago")} }

func (p page) Recent() []event  { return p.Events[:min(recent, len(p.Events))] }
func (p page) Earlier() []event { return p.Events[min(recent, len(p.Events)):] }

// Old reports whether what is shown of other nodes is not of now.
func (p page) Old() bool { return !p.Looked.IsZero() }

// state is how it is, in a word.
type state struct{ Class, Text string }

func (p page) State() state {
	switch n := len(p.Trouble) + p.More["trouble"]; {
	case p.Outage != nil:
		return state{"bad", p.Outage.What}
	case p.Unseen:
		return state{"", "reading the fleet"}
	case n == 1:
		return state{"warn", "one thing to look at"}
	case n > 1:
		return state{"warn", fmt.Sprintf("%d things to look at", n)}
	}
	return state{"good", "all well"}
}

func (p page) Title() string {
	return strings.Join([]string{p.Ring, p.State().Text, "stekring"}, " – ")
}
