package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/stekring/stekring/internal/resume"
)

// The words that a reason begins with.
const (
	resumed     = "resumed"
	full        = "full handshake" // no notice was taken of the ticket
	noTicket    = "no ticket"      // none came in time
	unspoken    = "no TLS "        // and the version
	unreachable = "unreachable"    // no handshake comes to pass, not even a full one
	certificate = "certificate"    // it is not trusted
	failed      = "failed"         // the handshake broke that offered the ticket
)

// mutual is the detail of a host that takes no client without a certificate.
const mutual = "wants a client certificate, and probe has none"

// trouble is what is wrong with a host.
type trouble struct {
	word   string
	host   host
	detail string // may be empty
}

func (t *trouble) String() string {
	if t.detail == "" {
		return t.word
	}
	return t.word + ": " + t.host.label + ": " + t.detail
}

// broken is a handshake that ended with an error.
func (p *Probe) broken(err error, h host, version uint16, offered bool) *trouble {
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return &trouble{certificate, h, brief(cert.Err) + hint(cert.Err)}
	case offered:
		return &trouble{failed, h, p.explain(err)}
	case alerted(err, alertProtocolVersion):
		return &trouble{word: "no " + tls.VersionName(version)}
	case alerted(err, alertHandshakeFailure): // how servers put it that are older than TLS 1.3
		return &trouble{"no " + tls.VersionName(version), h, p.explain(err)}
	}
	return &trouble{unreachable, h, p.explain(err)}
}

// ticketless is a handshake after which no ticket came. In TLS 1.3 a client
// learns only then that the server did not agree to it.
func (p *Probe) ticketless(err error, h host, asked bool) *trouble {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == remote && asked: // servers differ in the alert
		return &trouble{unreachable, h, mutual}
	case errors.As(err, &op) && op.Op == remote:
		return &trouble{unreachable, h, p.explain(op)}
	case op != nil, err == resume.ErrNoTicket:
		return &trouble{word: noTicket}
	}
	return &trouble{noTicket, h, strings.TrimPrefix(brief(err), resume.ErrNoTicket.Error()+": ")}
}

// hint says which flag may help.
func hint(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return "; give its CA with --ca"
	case errors.As(err, &name):
		return "; give the name that it is for with --servername"
	}
	return ""
}

// What servers send to refuse a handshake.
const (
	alertHandshakeFailure tls.AlertError = 40
	alertProtocolVersion  tls.AlertError = 70
)

const remote = "remote error" // the Op of alerts

// alerted reports whether a server sent an alert. crypto/tls has a type of its
// own for them, with the text of those that it exports.
func alerted(err error, a tls.AlertError) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == remote && op.Err.Error() == a.Error()
}

// explain leaves out of an error what differs from one connection to the next.
func (p *Probe) explain(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %v", p.Timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "hung up in the handshake"
	case errors.As(err, &op) && op.Op != remote:
		err = op.Err
	}
	return brief(err)
}

// brief bounds what a server can have a reason say.
func brief(err error) string { return fmt.Sprintf("%.300v", err) }
