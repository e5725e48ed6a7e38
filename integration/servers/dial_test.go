package servers_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

// A dial connects to one server and waits for an answer. It may change the
// configuration that it is given.
type dial func(context.Context, *tls.Config) (conn, error)

// conn is a connection on which an answer has come, and with that, over TCP, the
// ticket. If it is itself a net.Conn, whoever wants more of it must read.
type conn struct {
	io.Closer
	state tls.ConnectionState
}

type closer func() error

func (c closer) Close() error { return c() }

// dialTLS is for servers that write a byte.
func dialTLS(addr string) dial {
	return func(ctx context.Context, c *tls.Config) (conn, error) {
		d := tls.Dialer{Config: c}
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return conn{}, err
		}
		if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil {
			return conn{}, errors.Join(err, nc.Close())
		}
		return conn{nc, nc.(*tls.Conn).ConnectionState()}, nil
	}
}

// dialHTTP asks for HTTP/2 and takes HTTP/1.1.
func dialHTTP(addr string) dial {
	return func(ctx context.Context, c *tls.Config) (conn, error) {
		t := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		return request(ctx, t, addr, func() error { return nil })
	}
}

func dialHTTP3(addr string) dial {
	return func(ctx context.Context, c *tls.Config) (conn, error) {
		t := &http3.Transport{TLSClientConfig: c}
		return request(ctx, t, addr, t.Close)
	}
}

func request(ctx context.Context, t http.RoundTripper, addr string, end closer) (conn, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr, nil)
	if err != nil {
		return conn{}, err
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return conn{}, errors.Join(err, end())
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusNoContent {
		return conn{}, errors.Join(fmt.Errorf("%s, %w", res.Status, err), end())
	}
	return conn{end, *res.TLS}, nil
}

// dialGRPC makes one unary call.
func dialGRPC(addr string) dial {
	return func(ctx context.Context, c *tls.Config) (conn, error) {
		cc, err := grpc.NewClient("passthrough:"+addr, grpc.WithTransportCredentials(credentials.NewTLS(c)))
		if err != nil {
			return conn{}, err
		}
		var p peer.Peer
		if _, err := healthpb.NewHealthClient(cc).Check(ctx, new(healthpb.HealthCheckRequest), grpc.Peer(&p)); err != nil {
			return conn{}, errors.Join(err, cc.Close())
		}
		return conn{cc, p.AuthInfo.(credentials.TLSInfo).State}, nil
	}
}

// dialQUIC is for servers that open a stream.
func dialQUIC(addr string) dial {
	return func(ctx context.Context, c *tls.Config) (conn, error) {
		c.NextProtos = []string{quicProto}
		qc, err := quic.DialAddr(ctx, addr, c, nil)
		if err != nil {
			return conn{}, err
		}
		end := closer(func() error { return qc.CloseWithError(0, "") })
		s, err := qc.AcceptUniStream(ctx)
		if err == nil {
			_, err = io.Copy(io.Discard, s)
		}
		if err != nil {
			return conn{}, errors.Join(err, end())
		}
		return conn{end, qc.ConnectionState().TLS}, nil
	}
}
