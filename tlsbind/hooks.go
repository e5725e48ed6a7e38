package tlsbind

import (
	"crypto/rand"
	"crypto/tls"
	"sync/atomic"
	"time"

	"github.com/stekring/stekring/keyring"
)

// A ticket above these sizes in bytes is neither tried nor issued. Each key costs
// a MAC over all of it, and a client may send 64 KiB of them. A ticket is large
// for a client's certificates only.
const (
	maxTicket           = 4 << 10
	maxTicketWithClient = 16 << 10
)

// domain is one trust domain.
type domain struct {
	source keyring.Source
	scope  string
	most   int // bytes of a ticket

	current atomic.Pointer[keys]
}

// keys are those of one ring as crypto/tls uses them. No connection is made with
// the configuration. One for all keys costs a handshake less than one for each.
type keys struct {
	ring   *keyring.Ring
	config *tls.Config
	seals  string // the id of the key that does
	roles  map[string]keyring.Role
}

// keys returns what to use now. Two handshakes that meet a new ring at once
// both derive its keys, and the next one may do so again: it is cheap, and
// each uses the ring that it was given.
func (d *domain) keys() *keys {
	ring := d.source.Ring()
	if k := d.current.Load(); k != nil && k.ring == ring {
		return k
	}
	// A ring of none is against the contract of Source, but no reason to panic
	// in a handshake.
	k := &keys{ring: ring, config: &tls.Config{SessionTicketsDisabled: true}}
	if ring != nil {
		if secrets := ring.TicketKeys(d.scope); len(secrets) > 0 {
			k.config = new(tls.Config)
			k.config.SetSessionTicketKeys(secrets)
			described := ring.Info().Keys
			k.seals, k.roles = described[0].ID, make(map[string]keyring.Role, len(described))
			for _, key := range described {
				k.roles[key.ID] = key.Role
			}
		}
	}
	d.current.Store(k)
	return k
}

// hooks are what crypto/tls calls for one configuration.
//
// An error from one ends the connection, in TLS 1.2 even that of a client which
// has no ticket. So they return none: what cannot be opened is a full handshake
// now, what cannot be sealed is one next time.
type hooks struct {
	*domain
	noTLS12, perName, earlyData bool

	chain   []byte // digest of the certificates, if tickets are bound to them
	maxAge  time.Duration
	marks   bool // whether sessions carry a mark
	now     func() time.Time
	observe func(Event)

	alone bool      // hooks of one connection
	began time.Time // of the session that it resumes
}

func newHooks(n *binding, c *tls.Config) *hooks {
	h := &hooks{
		domain: &n.domains[c.ClientAuth], noTLS12: n.NoTLS12, perName: n.PerName, earlyData: n.EarlyData,
		maxAge: n.MaxSessionAge, now: time.Now, observe: n.Observe,
		marks: n.PerName || n.PerChain || n.MaxSessionAge > 0 || n.Observe != nil,
	}
	if c.Time != nil {
		h.now = c.Time
	}
	if n.PerChain {
		h.chain = chain(c.Certificates)
	}
	if h.observe == nil {
		h.observe = func(Event) {}
	}
	return h
}

func (h *hooks) into(c *tls.Config) { c.WrapSession, c.UnwrapSession = h.wrap, h.unwrap }

// unwrap is a tls.Config.UnwrapSession. TLS 1.2 calls it with an empty ticket
// for every client that has none, TLS 1.3 for each ticket until one is taken.
func (h *hooks) unwrap(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	if len(ticket) == 0 || h.noTLS12 && beforeTLS13(cs) {
		return nil, nil
	}
	if len(ticket) > h.most {
		h.tell(TooLarge, cs)
		return nil, nil
	}
	k := h.keys()
	session, err := k.config.DecryptTicket(ticket, cs)
	if err != nil || session == nil {
		h.tell(NoKey, cs)
		return nil, nil
	}
	m := unmark(session)
	switch {
	case m.place != h.place(cs):
		h.tell(Elsewhere, cs)
		return nil, nil
	case h.maxAge > 0 && m.began.IsZero():
		h.tell(NoAge, cs)
		return nil, nil
	case h.maxAge > 0 && h.now().Sub(m.began).Abs() >= h.maxAge:
		h.tell(TooOld, cs)
		return nil, nil
	}
	if h.alone {
		h.began = m.began
	}
	if h.marks {
		h.observe(Event{Kind: Opened, Version: cs.Version, Role: k.roles[m.key], Age: m.age(h.now())})
	}
	if !h.earlyData {
		session.EarlyData = false
	}
	if beforeTLS13(cs) {
		handedBack.remember(session, ticket)
	}
	return session, nil
}

// wrap is a tls.Config.WrapSession.
func (h *hooks) wrap(cs tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
	if beforeTLS13(cs) {
		switch {
		case h.noTLS12:
			return nil, nil
		case cs.DidResume:
			return handedBack.ticket(session), nil
		}
	}
	k := h.keys()
	if h.marks {
		m := mark{issued: h.now(), key: k.seals, place: h.place(cs)}
		if m.began = m.issued; cs.DidResume {
			m.began = h.began // unknown, unless these hooks are alone
		}
		m.onto(session)
	}
	ticket, err := k.config.EncryptTicket(cs, session)
	if err == nil && len(ticket) <= h.most {
		h.observe(Event{Kind: Issued, Version: cs.Version, Role: keyring.Active, Age: -1})
		return ticket, nil
	}
	return none(cs), nil
}

func (h *hooks) tell(k Kind, cs tls.ConnectionState) {
	h.observe(Event{Kind: k, Version: cs.Version, Age: -1})
}

// none returns a ticket that nobody can open. Before TLS 1.3 that is an empty
// one (RFC 5077, section 3.3), which TLS 1.3 forbids and clients abort at:
// there it is random.
func none(cs tls.ConnectionState) []byte {
	if beforeTLS13(cs) {
		return nil
	}
	ticket := make([]byte, 32)
	rand.Read(ticket)
	return ticket
}

func beforeTLS13(cs tls.ConnectionState) bool { return cs.Version < tls.VersionTLS13 }
