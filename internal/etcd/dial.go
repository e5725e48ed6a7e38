package etcd

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Options is how to reach an etcd.
type Options struct {
	Endpoints []string
	TLS       *tls.Config // nil for http:// endpoints
	Username  string
	Password  string
	// Log gets a line when an endpoint cannot be connected to, once for each
	// reason, and when it can be again; nil is silent.
	Log *zap.Logger
}

// Dial returns a client. It touches no network: what is wrong with the
// endpoints shows in the first call. The caller closes it.
func Dial(o Options) (*clientv3.Client, error) {
	log := o.Log
	if log == nil {
		log = zap.NewNop()
	}
	// Given a password, New asks etcd for a token at once, and fails without
	// etcd. A token that etcd does not know is replaced by the password's when
	// a call needs it, as one of before a restart of etcd is.
	token := ""
	if o.Username != "" {
		token = "none yet"
	}
	links := newLinks(o.Endpoints, log)
	creds := insecure.NewCredentials()
	if len(o.Endpoints) > 0 && strings.HasPrefix(o.Endpoints[0], "https://") {
		creds = credentials.NewTLS(o.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(witness{creds, links}),
		// By default the pause between connections grows to two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
		// Windows that do not adapt save the pings that would measure them.
		grpc.WithInitialWindowSize(1 << 17), grpc.WithInitialConnWindowSize(1 << 17),
	}
	if !links.proxied() {
		options = append(options, grpc.WithContextDialer(links.dial))
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints: o.Endpoints, Token: token,
		DialTimeout: 3 * time.Second,
		// A link that dies in silence is noticed after 13 s; etcd allows
		// no more than one ping every 5 s, gRPC none below 10 s.
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		Logger: zap.NewNop(), // at every try it says what its calls return
		// Whoever can write to etcd must not be able to fill this process.
		MaxCallRecvMsgSize: 32 << 20,
		DialOptions:        options,
	})
	if err != nil {
		return nil, fmt.Errorf("etcd: client for %v: %w", o.Endpoints, err)
	}
	c.Token, c.Username, c.Password = "", o.Username, o.Password
	return c, nil
}
