package servers_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// TestRetryTokens proves what Ring.Derive is for: where addresses are validated,
// a token of one server spares the client the Retry of another.
func TestRetryTokens(t *testing.T) {
	for name, c := range map[string]struct {
		key  func(r *keyring.Ring, label string) [32]byte
		want bool
	}{
		"derived": {(*keyring.Ring).Derive, false},
		"random":  {func(*keyring.Ring, string) (key [32]byte) { rand.Read(key[:]); return key }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring := fresh(1)
			serve := func() net.Addr {
				ring = next(t, ring) // servers do not start at once
				token := quic.TokenGeneratorKey(c.key(ring, "quic token"))
				tr := &quic.Transport{
					Conn: packets(t), TokenGeneratorKey: &token,
					VerifySourceAddress: func(net.Addr) bool { return true },
				}
				t.Cleanup(func() { _ = tr.Close() })
				base := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{quicProto}}
				ln, err := tr.Listen(tlsbind.Config(base, keyring.Static(ring)), noEarlyData())
				if err != nil {
					t.Fatal(err)
				}
				serveQUIC(t, ln)
				return ln.Addr()
			}
			tokens := oneToken{make(chan *quic.ClientToken, 1)}
			if !retried(t, serve(), tokens) {
				t.Fatal("the first server validates no address")
			}
			if got := retried(t, serve(), tokens); got != c.want {
				t.Errorf("a Retry at the second server = %t, want %t", got, c.want)
			}
		})
	}
}

// retried connects, waits for a token to use next time, and reports whether the
// server wanted the address validated first.
func retried(t *testing.T, server net.Addr, tokens oneToken) bool {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pc := &retryWatch{PacketConn: packets(t)}
	tr := &quic.Transport{Conn: pc}
	defer tr.Close()
	qc, err := tr.Dial(ctx, server, &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{quicProto}}, &quic.Config{TokenStore: tokens})
	if err != nil {
		t.Fatal(err)
	}
	defer qc.CloseWithError(0, "")
	select {
	case token := <-tokens.got:
		tokens.got <- token
	case <-ctx.Done():
		t.Fatal("no token came")
	}
	return pc.saw.Load()
}

// oneToken is a quic.TokenStore with room for one.
type oneToken struct{ got chan *quic.ClientToken }

func (o oneToken) Put(_ string, t *quic.ClientToken) {
	select {
	case o.got <- t:
	default: // a server may give more than one
	}
}

func (o oneToken) Pop(string) *quic.ClientToken {
	select {
	case t := <-o.got:
		return t
	default:
		return nil
	}
}

// retryWatch sees the Retry packets of QUIC version 1 (RFC 9000, section 17.2.5)
// that arrive, one for each datagram of the client's hello.
type retryWatch struct {
	net.PacketConn
	saw atomic.Bool
}

func (w *retryWatch) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := w.PacketConn.ReadFrom(b)
	if n > 0 && b[0]&0xf0 == 0xf0 {
		w.saw.Store(true)
	}
	return n, from, err
}
