package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stekring/stekring/internal/resume"
)

// patience is how long a handshake, or an answer, may take.
const patience = 30 * time.Second

// tlsServer is all arms in a process of their own.
type tlsServer struct {
	child   *child
	dir     string
	control net.Conn
	in      *json.Decoder
	out     *json.Encoder
	roots   *x509.CertPool
	asking  time.Duration // CPU time that the server needs to say what it used
}

// startTLS starts a server. The caller ends it.
func startTLS(ctx context.Context, certificate string, keys int) (*tlsServer, error) {
	dir, err := os.MkdirTemp("", "bench-tls-") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	s := &tlsServer{dir: dir, roots: x509.NewCertPool()}
	if err := s.start(ctx, certificate, keys); err != nil {
		s.end()
		return nil, fmt.Errorf("server of TLS: %w", err)
	}
	return s, nil
}

func (s *tlsServer) start(ctx context.Context, certificate string, keys int) error {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(s.dir, "control")})
	if err != nil {
		return err
	}
	defer ln.Close()
	if s.child, err = spawn(ctx, "tls-server", nil, os.Stderr, s.dir, certificate, strconv.Itoa(keys)); err != nil {
		return err
	}
	if err := ln.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if s.control, err = ln.Accept(); err != nil {
		return err
	}
	s.in, s.out = json.NewDecoder(s.control), json.NewEncoder(s.control)
	var der []byte
	if err := s.in.Decode(&der); err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.roots.AddCert(cert)
	return nil
}

func (s *tlsServer) end() {
	if s.control != nil {
		s.control.Close()
	}
	if s.child != nil {
		s.child.end()
	}
	os.RemoveAll(s.dir)
}

// spent asks what the server has used so far.
func (s *tlsServer) spent(allocs bool) (used spent, err error) {
	if err := s.control.SetDeadline(time.Now().Add(patience)); err != nil {
		return used, err
	}
	if err := s.out.Encode(allocs); err != nil {
		return used, err
	}
	return used, s.in.Decode(&used)
}

// dial returns a connection to a socket of the server.
func (s *tlsServer) dial(socket string) (net.Conn, error) {
	conn, err := net.DialTimeout("unix", filepath.Join(s.dir, socket), patience)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// client returns a client of one arm and TLS version. It offers the same ticket
// every time, or never any.
func (s *tlsServer) client(ctx context.Context, arm int, version uint16, resumed bool) (*tls.Config, error) {
	cache := new(resume.Cache)
	c := &tls.Config{
		RootCAs: s.roots, ServerName: tlsName, ClientSessionCache: cache,
		MinVersion: version, MaxVersion: version,
	}
	if resumed {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		raw, err := s.dial(issuerSocket(arm))
		if err != nil {
			return nil, err
		}
		defer raw.Close()
		conn := tls.Client(raw, c)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		session, err := cache.Await(ctx, conn)
		if err != nil {
			return nil, err
		}
		c.ClientSessionCache = &resume.Cache{Offer: session}
	}
	return c, nil
}

// shake shakes hands with an arm.
func (s *tlsServer) shake(arm int, c *tls.Config, resumed bool) error {
	raw, err := s.dial(serverSocket(arm))
	if err != nil {
		return err
	}
	defer raw.Close()
	conn := tls.Client(raw, c)
	var one [1]byte
	if _, err := conn.Read(one[:]); err != nil {
		return err
	}
	if got := conn.ConnectionState().DidResume; got != resumed {
		return fmt.Errorf("arm %d: resumed = %v, want %v", arm, got, resumed)
	}
	return nil
}

// batch shakes hands n times, one after the other, and returns how long that took
// and what CPU time it cost the server.
func (s *tlsServer) batch(arm int, c *tls.Config, resumed bool, n int) (wall, cpu time.Duration, err error) {
	before, err := s.spent(false)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	for range n {
		err = errors.Join(err, s.shake(arm, c, resumed))
	}
	wall = time.Since(start)
	after, err2 := s.spent(false)
	return wall, after.CPU - before.CPU - s.asking, errors.Join(err, err2)
}

// ask finds out what it costs to ask.
func (s *tlsServer) ask() error {
	var costs sample
	s.asking = 0
	for range 101 {
		_, cpu, err := s.batch(0, nil, false, 0)
		if err != nil {
			return err
		}
		costs = append(costs, float64(cpu))
	}
	s.asking = time.Duration(costs.at(50))
	return nil
}

// allocs returns the median of what one resumption makes the server allocate.
func (s *tlsServer) allocs(ctx context.Context, arm int, version uint16) (float64, error) {
	c, err := s.client(ctx, arm, version, true)
	if err != nil {
		return 0, err
	}
	var counts [2]sample // without and with a handshake, as to ask allocates too
	for i := range 102 {
		before, err := s.spent(true)
		if err != nil {
			return 0, err
		}
		if i%2 == 1 {
			if err := s.shake(arm, c, true); err != nil {
				return 0, err
			}
		}
		after, err := s.spent(true)
		if err != nil {
			return 0, err
		}
		counts[i%2] = append(counts[i%2], float64(after.Allocs-before.Allocs))
	}
	return counts[1].at(50) - counts[0].at(50), nil
}
