package tlsbind

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"time"
)

// mark is what a session carries in its ticket beside its secret, if a bound or
// an observer needs it. crypto/tls has room for that in SessionState.Extra.
type mark struct {
	began, issued time.Time // in seconds; zero is unknown
	place         [sha256.Size]byte
	key           string // id of the key that sealed the ticket
}

// marked begins an entry of Extra that is a mark, as others may have theirs.
var marked = []byte("stekring\x01")

func (m mark) onto(s *tls.SessionState) {
	b := append(make([]byte, 0, len(marked)+16+len(m.place)+len(m.key)), marked...)
	for _, t := range []time.Time{m.began, m.issued} {
		unix := int64(0)
		if !t.IsZero() {
			unix = t.Unix()
		}
		b = binary.BigEndian.AppendUint64(b, uint64(unix))
	}
	b = append(b, m.place[:]...)
	s.Extra = append(s.Extra, append(b, m.key...))
}

// unmark takes the mark off a session, which is then as before it was sealed.
func unmark(s *tls.SessionState) (m mark) {
	s.Extra = slices.DeleteFunc(s.Extra, func(b []byte) bool {
		b, ours := bytes.CutPrefix(b, marked)
		if !ours || len(b) < 16+sha256.Size {
			return false
		}
		for _, t := range []*time.Time{&m.began, &m.issued} {
			if unix := int64(binary.BigEndian.Uint64(b)); unix != 0 {
				*t = time.Unix(unix, 0)
			}
			b = b[8:]
		}
		m.key = string(b[copy(m.place[:], b):])
		return true
	})
	return m
}

// age is how long ago the ticket was issued; negative is unknown.
func (m mark) age(now time.Time) time.Duration {
	if m.issued.IsZero() {
		return -1
	}
	return max(0, now.Sub(m.issued))
}

// place is where a ticket is good: zero is everywhere.
func (h *hooks) place(cs tls.ConnectionState) (p [sha256.Size]byte) {
	if !h.perName && h.chain == nil {
		return p
	}
	b := append([]byte("chain"), h.chain...) // of one length, if there is one
	if h.perName {
		b = append(b, "name"...)
		for _, c := range []byte(cs.ServerName) { // of a name no other letters are equal
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
		}
	}
	return sha256.Sum256(b)
}

// chain names certificates.
func chain(certs []tls.Certificate) []byte {
	h := sha256.New()
	for _, cert := range certs {
		h.Write([]byte{byte(len(cert.Certificate))})
		for _, der := range cert.Certificate {
			h.Write(der) // says itself where it ends
		}
	}
	return h.Sum(nil)
}
