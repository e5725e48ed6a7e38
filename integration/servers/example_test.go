package servers_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// Two gRPC servers share a ring, and the client that was at one resumes at the
// other. Here the Source is a ring that never changes; in a fleet it is a
// rotator, which keeps one fresh.
func Example_grpc() {
	rot := keyring.Static(keyring.DefaultPolicy.First(1, 1, time.Now()))
	base := &tls.Config{Certificates: []tls.Certificate{cert}}
	client := credentials.NewTLS(&tls.Config{
		RootCAs: roots, ServerName: name, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	})
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(tlsbind.Config(base, rot))))
		healthpb.RegisterHealthServer(srv, health.NewServer())
		go srv.Serve(ln)
		defer srv.Stop()

		conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(client))
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		var p peer.Peer
		_, err = healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{}, grpc.Peer(&p))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("resumed:", p.AuthInfo.(credentials.TLSInfo).State.DidResume)
	}
	// Output:
	// resumed: false
	// resumed: true
}

// Two HTTP/3 servers share a ring, and all that quic-go reads once when it
// starts.
func Example_http3() {
	rot := keyring.Static(keyring.DefaultPolicy.First(1, 1, time.Now()))
	base := &tls.Config{Certificates: []tls.Certificate{cert}}
	client := &tls.Config{
		RootCAs: roots, ServerName: name, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	for range 2 {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		binder := tlsbind.Binder{Source: rot}
		bound, err := binder.Config(base)
		if err != nil {
			log.Fatal(err)
		}
		srv := &http3.Server{
			Handler:    http.NotFoundHandler(),
			TLSConfig:  bound,
			QUICConfig: &quic.Config{}, // offers no early data
		}
		token := quic.TokenGeneratorKey(rot.Ring().Derive("quic token"))
		reset := quic.StatelessResetKey(rot.Ring().Derive("quic stateless reset " + conn.LocalAddr().String()))
		transport := &quic.Transport{Conn: conn, TokenGeneratorKey: &token, StatelessResetKey: &reset}
		ln, err := transport.ListenEarly(http3.ConfigureTLSConfig(srv.TLSConfig), srv.QUICConfig)
		if err != nil {
			log.Fatal(err)
		}
		go srv.ServeListener(ln)

		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = binder.Check(ctx, func(ctx context.Context, c *tls.Config) (io.Closer, error) {
			c.ServerName, c.NextProtos = name, []string{"h3"}
			conn, err := quic.DialAddr(ctx, ln.Addr().String(), c, nil)
			return quicConn{conn}, err
		})
		if err != nil {
			log.Fatal(err)
		}
		defer transport.Close()
		defer srv.Close()

		get := &http3.Transport{TLSClientConfig: client}
		defer get.Close()
		res, err := (&http.Client{Transport: get}).Get("https://" + conn.LocalAddr().String())
		if err != nil {
			log.Fatal(err)
		}
		res.Body.Close()
		fmt.Println("resumed:", res.TLS.DidResume)
	}
	// Output:
	// resumed: false
	// resumed: true
}

// quicConn makes a connection of QUIC an io.Closer.
type quicConn struct{ *quic.Conn }

func (c quicConn) Close() error { return c.CloseWithError(0, "") }
