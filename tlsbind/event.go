package tlsbind

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/stekring/stekring/keyring"
)

// Event is something that happened to a ticket, or a handshake.
type Event struct {
	Kind    Kind
	Version uint16 // of TLS

	// Role is what the key does with which a ticket was sealed, if it was Issued
	// or Opened. It is none for a ticket of a server that does not mark them: one
	// that has neither Observe nor a bound.
	Role keyring.Role

	// Age is how long ago a ticket was issued that is Opened, by the two servers'
	// clocks. Negative is unknown.
	Age time.Duration
}

// Kind says what an Event is of.
type Kind uint8

// Each ticket that a client offers in a version that has them is Opened or one of
// the five after it, and TLS 1.3 may offer several. Most that are Opened are
// resumed, but crypto/tls has the last word: it takes none that is older than seven
// days, or whose client certificate is no longer good. A handshake is counted when
// the server has done its part; not every client finishes.
const (
	Issued    Kind = iota + 1 // a ticket was sealed
	Opened                    // a ticket was opened
	NoKey                     // no key of the ring opens it: dropped, foreign or forged
	TooLarge                  // above 4 KiB, or 16 with client certificates, and not tried
	TooOld                    // above MaxSessionAge
	NoAge                     // of unknown age: of a server without MaxSessionAge
	Elsewhere                 // issued for another server name or other certificates
	Full                      // a full handshake
	Resumed                   // a resumed one
)

var kindNames = [...]string{"none", "issued", "opened", "no_key", "too_large", "too_old", "no_age", "elsewhere", "full", "resumed"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}

// counted returns a VerifyConnection that tells of each handshake which user
// lets pass. It stays nil where it would hide that there is only a
// VerifyPeerCertificate.
func counted(peer func([][]byte, [][]*x509.Certificate) error, user func(tls.ConnectionState) error, observe func(Event)) func(tls.ConnectionState) error {
	if peer != nil && user == nil {
		return nil
	}
	return func(cs tls.ConnectionState) error {
		if user != nil {
			if err := user(cs); err != nil {
				return err
			}
		}
		kind := Full
		if cs.DidResume {
			kind = Resumed
		}
		observe(Event{Kind: kind, Version: cs.Version, Age: -1})
		return nil
	}
}
