package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/internal/etcd"
)

// startMembers starts an etcd of n members, with mutual TLS to its clients or
// without, and waits until it serves. The caller ends it.
func startMembers(ctx context.Context, n int, secure bool) (m members, err error) {
	defer func() {
		if err != nil {
			m.end()
		}
	}()
	var peers, cluster []string
	for i := range n {
		peers = append(peers, "http://"+freeAddress())
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	for i := range n {
		s, err := newServer(secure)
		if err != nil {
			return m, err
		}
		m = append(m, s)
		metrics := "http://" + freeAddress()
		s.metrics = metrics + "/metrics"
		s.args = append(s.certs("--cert-file", "--key-file", "--trusted-ca-file"),
			"--data-dir", filepath.Join(s.dir, "data"), "--name", fmt.Sprintf("m%d", i),
			"--listen-client-urls", s.endpoint, "--advertise-client-urls", s.endpoint, "--listen-metrics-urls", metrics,
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","),
			"--log-level", "fatal", // a member that is frozen or killed is news to the others
			"--auto-compaction-mode", "revision", "--auto-compaction-retention", "1000")
		if secure {
			s.args = append(s.args, "--client-cert-auth")
		}
		if s.child, err = spawn(ctx, "etcd", nil, os.Stderr, s.args...); err != nil {
			return m, err
		}
	}
	for _, s := range m {
		if err := s.ready(ctx); err != nil {
			return m, err
		}
	}
	return m, nil
}

// startProxy starts etcd's own gRPC proxy before etcd. The caller ends it.
func startProxy(ctx context.Context, m members, secure bool) (*server, error) {
	s, err := newServer(secure)
	if err != nil {
		return nil, err
	}
	metrics := "http://" + freeAddress()
	s.metrics = metrics + "/proxy/metrics"
	address := strings.TrimPrefix(strings.TrimPrefix(s.endpoint, "https://"), "http://")
	s.args = append([]string{"grpc-proxy", "start", "--endpoints", strings.Join(m.endpoints(), ","),
		"--listen-addr", address, "--metrics-addr", metrics, "--advertise-client-url", "",
		"--data-dir", filepath.Join(s.dir, "data")},
		s.certs("--cert-file", "--key-file", "--trusted-ca-file")...)
	if err := s.again(ctx); err != nil {
		members{s}.end()
		return nil, err
	}
	return s, nil
}

// newServer is a server that has not been started, with an address of its own.
func newServer(secure bool) (s *server, err error) {
	s = &server{endpoint: "http://" + freeAddress()}
	if s.dir, err = os.MkdirTemp("", "bench-etcd-"); err != nil {
		return nil, err
	}
	if !secure {
		return s, nil
	}
	s.endpoint = strings.Replace(s.endpoint, "http:", "https:", 1)
	defer func() {
		if err != nil {
			os.RemoveAll(s.dir)
		}
	}()
	cert, ca, err := devcert.New("127.0.0.1")
	if err != nil {
		return nil, err
	}
	certPEM, keyPEM, err := devcert.Files(cert)
	if err != nil {
		return nil, err
	}
	for file, b := range map[string][]byte{"cert": certPEM, "key": keyPEM, "ca": ca} {
		if err := os.WriteFile(filepath.Join(s.dir, file), b, 0o600); err != nil {
			return nil, err
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	s.tls = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}
	return s, nil
}

// certs are the arguments by which a server with TLS gets its certificate.
func (s *server) certs(cert, key, ca string) []string {
	if s.tls == nil {
		return nil
	}
	return []string{cert, filepath.Join(s.dir, "cert"), key, filepath.Join(s.dir, "key"), ca, filepath.Join(s.dir, "ca")}
}

// again starts the server, or kills it and starts it with what it has on disk,
// and waits until it serves. What it says goes to a file, as much of it is of no
// interest while nodes come and go.
func (s *server) again(ctx context.Context) error {
	if s.child != nil {
		s.child.end()
	}
	said, err := os.OpenFile(filepath.Join(s.dir, "said"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer said.Close()
	if s.child, err = spawn(ctx, "etcd", nil, said, s.args...); err != nil {
		return err
	}
	wctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := s.healthy(wctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.child.done:
		case <-wctx.Done():
		case <-time.After(5 * time.Millisecond):
			continue
		}
		words, _ := os.ReadFile(said.Name())
		return errors.Join(err, errors.New(string(words[max(0, len(words)-1000):])))
	}
}

// healthy asks whether the server serves. Unlike a client, who asks so need not
// pause between tries.
func (s *server) healthy(ctx context.Context) error {
	at, err := url.Parse(s.metrics)
	if err != nil {
		return err
	}
	at.Path = "/health"
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// members are the servers of one etcd.
type members []*server

func (m members) end() {
	for _, s := range m {
		if s.child != nil {
			s.child.end()
		}
		os.RemoveAll(s.dir)
	}
}

func (m members) endpoints() (all []string) {
	for _, s := range m {
		all = append(all, s.endpoint)
	}
	return all
}

// all dials every member, as a daemon does that has all endpoints in its file.
// The client connects to each, and spreads its calls and watches over them.
func (m members) all() (*clientv3.Client, error) {
	return etcd.Dial(etcd.Options{Endpoints: m.endpoints(), TLS: m[0].tls})
}

// oneEach returns a dial that gives every node only one member, in turn.
func (m members) oneEach() dial {
	next := 0
	return func() (*clientv3.Client, error) {
		next++
		return m[next%len(m)].client()
	}
}
