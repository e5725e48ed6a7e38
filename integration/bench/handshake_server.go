package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind"
	"github.com/stekring/stekring/tlsbind/metrics"
)

// arms are the servers that are compared, by what they seal tickets with.
const (
	automatic = iota // crypto/tls with keys of its own
	plain            // crypto/tls with SetSessionTicketKeys
	ours             // tlsbind.Config
	observed         // a tlsbind.Binder with a scope and metrics
	bareHooks        // hooks that only call crypto/tls
	arms
)

// arm is one of them, and the server that sealed the tickets it is offered: as
// old as its ring's oldest key.
type arm struct{ server, issuer *tls.Config }

// tlsName is what the server's certificate is for.
const tlsName = "bench.test"

// tlsServerRole serves all arms in a directory of sockets, with one kind of
// certificate and a number of keys, and answers at the socket "control".
func tlsServerRole(args []string) error {
	dir := args[0]
	cert, err := newCertificate(args[1])
	if err != nil {
		return err
	}
	keys, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	served, err := newArms(&tls.Config{Certificates: []tls.Certificate{cert}}, keys)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i, a := range served {
		for socket, config := range map[string]*tls.Config{serverSocket(i): a.server, issuerSocket(i): a.issuer} {
			ln, err := net.Listen("unix", filepath.Join(dir, socket))
			if err != nil {
				return err
			}
			go func() { failed <- serveTLS(ln, config) }()
		}
	}
	control, err := net.DialTimeout("unix", filepath.Join(dir, "control"), patience)
	if err != nil {
		return err
	}
	go func() { failed <- answer(control, cert.Certificate[0]) }()
	return <-failed // ends the process, and with it the rest
}

func serverSocket(arm int) string { return fmt.Sprint("server-", arm) }
func issuerSocket(arm int) string { return fmt.Sprint("issuer-", arm) }

// serveTLS serves one connection after the other: a handshake and a byte.
func serveTLS(ln net.Listener, config *tls.Config) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = tls.Server(conn, config).Write([]byte{1}) // the client knows whether it came
		conn.Close()
	}
}

// spent is what a server has used so far.
type spent struct {
	CPU    time.Duration
	Allocs uint64 // only if asked for, because to count them stops the server
}

// answer tells the certificate, and then what was spent whenever it is asked; the
// question is whether allocations are meant.
func answer(control net.Conn, cert []byte) error {
	in, out := json.NewDecoder(control), json.NewEncoder(control)
	if err := out.Encode(cert); err != nil {
		return err
	}
	for {
		var allocs bool
		if err := in.Decode(&allocs); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		s := spent{CPU: ownCPU()}
		if allocs {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			s.Allocs = m.Mallocs
		}
		if err := out.Encode(s); err != nil {
			return err
		}
	}
}

func newArms(base *tls.Config, keys int) (all [arms]arm, err error) {
	ring := keyring.DefaultPolicy.First(1, 1, time.Now())
	first := keyring.Static(ring)
	for len(ring.Info().Keys) < keys {
		ring = later(ring)
	}
	secrets, oldest := ring.TicketKeys(""), first.Ring().TicketKeys("")[:1]
	if len(secrets) != keys || secrets[keys-2] != oldest[0] {
		return all, fmt.Errorf("%d keys: the first is not the oldest in the ring", keys)
	}
	rot, err := rotator.New(rotator.Config{Client: clientv3.NewCtxClient(context.Background()), Ring: "www", KEK: seal.NewKEK()})
	if err != nil {
		return all, err
	}
	m := metrics.New(rot)
	if err := prometheus.NewRegistry().Register(m); err != nil {
		return all, err
	}
	scoped := func(src keyring.Source) *tls.Config {
		b := tlsbind.Binder{Source: src, Scope: "www", Observe: m.Observe}
		c, refused := b.Config(base)
		err = errors.Join(err, refused)
		return c
	}
	with := func(keys [][keyring.KeySize]byte) *tls.Config {
		c := base.Clone()
		c.SetSessionTicketKeys(keys)
		return c
	}
	all = [arms]arm{
		plain:     {with(secrets), with(oldest)},
		ours:      {tlsbind.Config(base, keyring.Static(ring)), tlsbind.Config(base, first)},
		observed:  {scoped(keyring.Static(ring)), scoped(first)},
		bareHooks: {base.Clone(), with(oldest)},
	}
	keyed := with(secrets)
	all[bareHooks].server.WrapSession, all[bareHooks].server.UnwrapSession = keyed.EncryptTicket, keyed.DecryptTicket
	own := base.Clone()
	all[automatic] = arm{own, own} // a copy would have other keys
	return all, err
}

// newCertificate returns a certificate that has signed itself, so that clients
// have the least to do.
func newCertificate(kind string) (cert tls.Certificate, err error) {
	var key crypto.Signer
	switch kind {
	case "ECDSA P-256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RSA 2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("no certificate of kind %q", kind)
	}
	if err != nil {
		return cert, err
	}
	now := time.Now()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{tlsName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 1),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
