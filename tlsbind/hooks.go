package tlsbind

import (
	"crypto/rand"
	"crypto/tls"
	"sync/atomic"

	"github.com/stekring/stekring/keyring"
)

// maxTicket is the size in bytes above which a ticket is neither tried nor
// issued. Each key costs a MAC over all of it, and a client may send 64 KiB.
const maxTicket = 16 << 10

// domain is one trust domain: the hooks that crypto/tls calls for it.
//
// An error from a hook ends the connection, in TLS 1.2 even that of a client
// which has no ticket. So the hooks return none: what cannot be opened is a
// full handshake now, what cannot be sealed is one next time.
type domain struct {
	source  keyring.Source
	scope   string
	noTLS12 bool

	current  atomic.Pointer[keys]
	handBack handBack
}

// keys are those of one ring as crypto/tls uses them. No connection is made with
// the configuration. One for all keys costs a handshake less than one for each.
type keys struct {
	ring   *keyring.Ring
	config *tls.Config
}

// keys returns what to use now. Two handshakes that meet a new ring at once
// both derive its keys, and the next one may do so again: it is cheap, and
// each uses the ring that it was given.
func (d *domain) keys() *tls.Config {
	ring := d.source.Ring()
	if k := d.current.Load(); k != nil && k.ring == ring {
		return k.config
	}
	// A ring of none is against the contract of Source, but no reason to panic
	// in a handshake.
	c := &tls.Config{SessionTicketsDisabled: true}
	if ring != nil {
		if secrets := ring.TicketKeys(d.scope); len(secrets) > 0 {
			c = new(tls.Config)
			c.SetSessionTicketKeys(secrets)
		}
	}
	d.current.Store(&keys{ring, c})
	return c
}

// unwrap is a tls.Config.UnwrapSession. TLS 1.2 calls it with an empty ticket
// for every client that has none.
func (d *domain) unwrap(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	if len(ticket) == 0 || len(ticket) > maxTicket || d.noTLS12 && beforeTLS13(cs) {
		return nil, nil
	}
	session, err := d.keys().DecryptTicket(ticket, cs)
	if err != nil || session == nil {
		return nil, nil
	}
	if beforeTLS13(cs) {
		d.handBack.remember(session, ticket)
	}
	return session, nil
}

// wrap is a tls.Config.WrapSession.
func (d *domain) wrap(cs tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
	if beforeTLS13(cs) {
		switch {
		case d.noTLS12:
			return nil, nil
		case cs.DidResume:
			return d.handBack.ticket(session), nil
		}
	}
	ticket, err := d.keys().EncryptTicket(cs, session)
	if err == nil && len(ticket) <= maxTicket {
		return ticket, nil
	}
	return none(cs), nil
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
