package status

import "fmt"

// tickets is what became of those of this node's listeners since its start.
type tickets struct {
	Full, Resumed, Issued uint64
	Missed                []missed // by reason, all there are
}

type missed struct {
	Reason string
	N      uint64
}

// reasons say what the metrics' mean.
var reasons = []struct{ label, text string }{
	{"no_key", "no key opens it"}, {"too_old", "session too old"}, {"no_age", "age unknown"},
	{"elsewhere", "for another name or certificate"}, {"too_large", "too large"},
}

// Handshakes is how many there were.
func (t tickets) Handshakes() uint64 { return t.Full + t.Resumed }

// Share is how many of them resumed.
func (t tickets) Share() string {
	if t.Handshakes() == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f\u2009%%", 100*float64(t.Resumed)/float64(t.Handshakes()))
}

// counted reads the counters of this node's tickets.
func (p *Page) counted() tickets {
	families, _ := p.tickets.Gather() // what could be read, if not all
	sums := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if n := l.GetName(); n == "mode" || n == "reason" {
					name += " " + l.GetValue()
				}
			}
			sums[name] += uint64(m.GetCounter().GetValue())
		}
	}
	t := tickets{
		Full: sums["stekring_handshakes_total full"], Resumed: sums["stekring_handshakes_total resumed"],
		Issued: sums["stekring_tickets_issued_total"],
	}
	for _, r := range reasons {
		t.Missed = append(t.Missed, missed{Reason: r.text, N: sums["stekring_tickets_missed_total "+r.label]})
	}
	return t
}
