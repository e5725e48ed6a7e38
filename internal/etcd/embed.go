// Package etcd starts an etcd in this process, for the demo, for development
// and for tests, and dials those that run elsewhere.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Server is an etcd of one member. It survives nothing: its data is synced to
// disk only when the system pleases.
type Server struct {
	Endpoint string // http://127.0.0.1:PORT

	etcd *embed.Etcd
	mu   sync.Mutex
	grpc []*grpc.Server // as etcd starts them
}

// Start starts an etcd on the loopback with its data in dir and waits until it
// serves, about half a second. Address "127.0.0.1:0" takes a free port. Tick is
// etcd's heartbeat, and a tenth of its election timeout; a lease lasts at least
// 1.5 such timeouts. The caller closes the Server, after its clients.
func Start(ctx context.Context, dir, address string, tick time.Duration, log *zap.Logger) (*Server, error) {
	s := &Server{}
	c := embed.NewConfig()
	c.Dir = filepath.Join(dir, "etcd")
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	client, err := url.Parse("http://" + address)
	if err != nil {
		return nil, fmt.Errorf("etcd: address %q: %w", address, err)
	}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, []url.URL{peer} // it has no peers
	c.InitialCluster = c.Name + "=" + peer.String()
	c.TickMs, c.ElectionMs = uint(tick.Milliseconds()), uint(10*tick.Milliseconds())
	c.UnsafeNoFsync = true
	c.QuotaBackendBytes = 64 << 20
	if err := s.start(ctx, c, log); err != nil {
		return nil, err
	}
	s.Endpoint = "http://" + s.etcd.Clients[0].Addr().String()
	return s, nil
}

// start starts an etcd and waits until it serves. After an error there is none.
func (s *Server) start(ctx context.Context, c *embed.Config, log *zap.Logger) (err error) {
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log)
	c.ServiceRegister = func(g *grpc.Server) {
		s.mu.Lock()
		s.grpc = append(s.grpc, g)
		s.mu.Unlock()
	}
	if s.etcd, err = embed.StartEtcd(c); err != nil {
		return fmt.Errorf("etcd: starting at %s: %w", c.ListenClientUrls[0].Host, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("not ready after 30s"))
	defer cancel()
	select {
	case <-s.etcd.Server.ReadyNotify():
		return nil
	case err = <-s.etcd.Err():
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.Close()
	return fmt.Errorf("etcd: starting at %s: %w", c.ListenClientUrls[0].Host, err)
}

// Close stops the server within about a second, whether or not clients are
// still connected.
func (s *Server) Close() {
	// etcd itself waits seconds for watches to end.
	s.mu.Lock()
	for _, g := range s.grpc {
		g.Stop()
	}
	s.mu.Unlock()
	s.etcd.Close()
}
