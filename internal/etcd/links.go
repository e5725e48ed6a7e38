package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"
)

const (
	maxReasons = 8 // that are logged of one outage of an endpoint
	// settled is how long an endpoint works, or fails, before that is news again:
	// one that comes and goes every second does not fill the log.
	settled = 10 * time.Second
)

var (
	errSilent = errors.New("connected, but no answer in time")
	errClosed = errors.New("connected, but closed without an answer")
)

// links logs why endpoints cannot be connected to. The client's calls only say
// that time is up.
type links struct {
	log *zap.Logger

	mu sync.Mutex
	by map[string]*link // by address; those of the start and no others
}

// link is what the log has of one endpoint.
type link struct {
	endpoint string
	up       time.Time       // when it last worked
	down     bool            // it was last said to fail
	said     map[string]bool // why, without its numbers
}

func newLinks(endpoints []string, log *zap.Logger) *links {
	l := &links{log: log, by: map[string]*link{}}
	for _, e := range endpoints {
		_, address, _ := strings.Cut(e, "://")
		l.by[address] = &link{endpoint: e, said: map[string]bool{}}
	}
	return l
}

// proxied reports whether the environment names a proxy for an endpoint. gRPC
// uses one only with a dialer of its own.
func (l *links) proxied() bool {
	for address := range l.by {
		r := &http.Request{URL: &url.URL{Scheme: "https", Host: address}} // which gRPC asks for, whatever the scheme
		if p, err := http.ProxyFromEnvironment(r); p != nil || err != nil {
			return true
		}
	}
	return false
}

// dial connects as gRPC would. It returns the bare connection, on which gRPC sets
// what it does on no other.
func (l *links) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		l.failed(ctx, address, err)
	}
	return conn, err
}

// numbers differ in an error that is the same one again: ports, times, durations.
var numbers = regexp.MustCompile(`[0-9]+`)

// failed notes why there is no connection, unless it is that the client has
// ended ctx, that of the attempt.
func (l *links) failed(ctx context.Context, address string, err error) {
	if ctx.Err() == context.Canceled {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.by[address]
	if k == nil {
		return
	}
	if !k.down && time.Since(k.up) > settled {
		clear(k.said)
	}
	why := numbers.ReplaceAllString(err.Error(), "")
	if k.said[why] || len(k.said) >= maxReasons {
		return
	}
	k.said[why], k.down = true, true
	if errors.Is(err, errClosed) && k.up.IsZero() {
		err = fmt.Errorf("%w; is it an etcd, and is it https or http?", err)
	}
	l.log.Warn("cannot connect to etcd; will try again", zap.String("endpoint", k.endpoint), zap.Error(err))
}

// works notes that an etcd has answered.
func (l *links) works(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.by[address]
	if k == nil {
		return
	}
	if k.down {
		l.log.Info("connected to etcd again", zap.String("endpoint", k.endpoint))
	}
	k.up, k.down = time.Now(), false
}

// witness is credentials that tell links how it goes.
type witness struct {
	credentials.TransportCredentials
	links *links
}

func (w witness) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		w.links.failed(ctx, authority, meant(ctx, err))
		return nil, nil, err
	}
	return &first{Conn: conn, ctx: ctx, address: authority, links: w.links}, info, nil
}

func (w witness) Clone() credentials.TransportCredentials {
	return witness{w.TransportCredentials.Clone(), w.links}
}

// first is a connection that tells links what its first read brings. With TLS
// 1.3 a server refuses a client's certificate only after the handshake.
type first struct {
	net.Conn
	ctx     context.Context // of the attempt to connect, which ends with the first answer
	address string
	links   *links
	known   atomic.Bool
}

func (f *first) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if n == 0 && err == nil || f.known.Swap(true) {
		return n, err
	}
	if n > 0 {
		f.links.works(f.address)
	} else if why := meant(f.ctx, err); !errors.Is(why, net.ErrClosed) {
		// gRPC itself closes what it cannot write to; a later try reads why.
		f.links.failed(f.ctx, f.address, why)
	}
	return n, err
}

// meant is what an error says of a peer that has said nothing itself.
func meant(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errSilent
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return errClosed
	}
	return err
}
