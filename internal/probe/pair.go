package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"github.com/stekring/stekring/internal/resume"
)

// pair gets a fresh ticket, as some servers take each only once, and offers it.
func (p *Probe) pair(ctx context.Context, from, to host, version uint16) Pair {
	pair := Pair{From: from.label, To: to.label}
	ticket, leaf, t := p.ticket(ctx, from, version)
	if t != nil {
		pair.Reason, pair.deaf = t.String(), t.word != noTicket && t.word != certificate
		return pair
	}
	pair.given = true
	if leaf.VerifyHostname(to.name) != nil { // crypto/tls would keep the ticket to itself
		t = &trouble{certificate, from, fmt.Sprintf("not valid for %s, so no ticket of it is offered there; "+
			"name what all are valid for with --servername", to.name)}
		pair.Reason = t.String()
		return pair
	}
	pair.Resumed, pair.Reason = p.offer(ctx, ticket, to, version)
	return pair
}

// ticket shakes hands in full, and returns the certificate too.
func (p *Probe) ticket(ctx context.Context, from host, version uint16) (*tls.ClientSessionState, *x509.Certificate, *trouble) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	var cache resume.Cache
	conn, asked, t := p.shake(ctx, from, version, &cache)
	if t != nil {
		return nil, nil, t
	}
	defer conn.Close()
	ticket, err := cache.Await(ctx, conn)
	if err != nil {
		return nil, nil, p.ticketless(err, from, asked)
	}
	return ticket, conn.ConnectionState().PeerCertificates[0], nil
}

// offer reports whether a ticket is taken, and what to say of it.
func (p *Probe) offer(ctx context.Context, ticket *tls.ClientSessionState, to host, version uint16) (taken bool, reason string) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	conn, _, t := p.shake(ctx, to, version, &resume.Cache{Offer: ticket})
	if t != nil {
		return false, t.String()
	}
	defer conn.Close()
	if conn.ConnectionState().DidResume {
		return true, resumed
	}
	return false, full
}

// shake connects and shakes hands, and reports whether it was asked for a certificate.
func (p *Probe) shake(ctx context.Context, h host, version uint16, cache *resume.Cache) (conn *tls.Conn, asked bool, t *trouble) {
	if h.err != nil {
		return nil, false, &trouble{unreachable, h, brief(h.err)}
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", h.address)
	if err != nil {
		return nil, false, &trouble{unreachable, h, p.explain(err)}
	}
	conn = tls.Client(raw, &tls.Config{
		ServerName: h.name, RootCAs: p.Roots, MinVersion: version, MaxVersion: version,
		NextProtos: []string{"h2", "http/1.1"}, ClientSessionCache: cache,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return new(tls.Certificate), nil
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		if asked { // the alert may be the same as for a version that is not spoken
			return nil, true, &trouble{unreachable, h, mutual}
		}
		return nil, false, p.broken(err, h, version, cache.Offer != nil)
	}
	return conn, asked, nil
}
