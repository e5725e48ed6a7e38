package servers_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/stekring/stekring/internal/resume"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// TestEarlyData offers early data at a server that has not seen the client.
func TestEarlyData(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("EarlyData=%t", early), func(t *testing.T) {
			t.Parallel()
			binder := tlsbind.Binder{Source: keyring.Static(fresh(1)), EarlyData: early}
			serve := func() string {
				c, err := binder.Config(&tls.Config{Certificates: []tls.Certificate{cert}})
				if err != nil {
					t.Fatal(err)
				}
				pc := packets(t)
				serveHTTP3(t, &http3.Server{TLSConfig: c, QUICConfig: &quic.Config{Allow0RTT: true}}, pc.LocalAddr(), func(s *http3.Server) error {
					return s.Serve(pc)
				})
				return pc.LocalAddr().String()
			}
			c := client{t: t, version: tls.VersionTLS13}
			session := c.ticket(dialHTTP3(serve()))
			if _, state, err := session.ResumptionState(); err != nil || !state.EarlyData {
				t.Fatalf("the ticket offers early data = false (%v), want true", err)
			}
			state, err := getEarly(t, serve(), session)
			if state.Used0RTT != early || !state.TLS.DidResume || (err == nil) != early {
				t.Errorf("early data used = %t, resumed = %t, request %v, want %t, true and an error unless used", state.Used0RTT, state.TLS.DidResume, err, early)
			}
		})
	}
}

// getEarly makes a request before the handshake is over.
func getEarly(t *testing.T, addr string, session *tls.ClientSessionState) (quic.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	qc, err := quic.DialAddrEarly(ctx, addr, &tls.Config{
		RootCAs: roots, ServerName: name, NextProtos: []string{http3.NextProtoH3}, ClientSessionCache: &resume.Cache{Offer: session},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer qc.CloseWithError(0, "")
	req, err := http.NewRequestWithContext(ctx, http3.MethodGet0RTT, "https://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := new(http3.Transport).NewClientConn(qc).RoundTrip(req)
	if err == nil {
		_ = res.Body.Close()
	}
	<-qc.HandshakeComplete()
	return qc.ConnectionState(), err
}
