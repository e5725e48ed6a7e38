package tlsbind

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// kinds are the configurations whose sessions differ in what they carry.
var kinds = map[string]func(t *testing.T, server, client *tls.Config){
	"no certificate": func(*testing.T, *tls.Config, *tls.Config) {},
	"ALPN": func(_ *testing.T, server, client *tls.Config) {
		server.NextProtos, client.NextProtos = []string{"http/1.1"}, []string{"http/1.1"}
	},
	"no certificate given": func(_ *testing.T, server, _ *tls.Config) {
		server.ClientAuth = tls.VerifyClientCertIfGiven
	},
	"a certificate not verified": func(t *testing.T, server, client *tls.Config) {
		server.ClientAuth, client.Certificates = tls.RequireAnyClientCert, []tls.Certificate{ca.issue(t)}
	},
	"a certificate": func(t *testing.T, server, client *tls.Config) {
		server.ClientAuth, client.Certificates = tls.RequireAndVerifyClientCert, []tls.Certificate{ca.issue(t)}
	},
}

func TestTLS12HandsTicketBack(t *testing.T) {
	for name, set := range kinds {
		t.Run(name, func(t *testing.T) {
			src := source(fresh())
			base := serverConfig(t)
			c, p := client(tls.VersionTLS12)
			set(t, base, c)
			here, there := serve(t, Config(base, src)), serve(t, Config(base, src))
			resumes(t, "first", here, c, false)
			ticket := p.ticket(t)
			for range 13 {
				src.Store(next(t, src.Ring()))
				for _, addr := range []string{here, there, here} {
					resumes(t, "after a rotation", addr, c, true)
					if !bytes.Equal(p.ticket(t), ticket) {
						t.Fatal("a resumed connection got another ticket")
					}
				}
			}
			src.Store(next(t, src.Ring()))
			resumes(t, "after the key had its time", here, c, false)
			if bytes.Equal(p.ticket(t), ticket) {
				t.Error("a full handshake got the old ticket")
			}
			resumes(t, "with a new ticket", there, c, true)
		})
	}
}

// TestTLS12SecretKeepsToOneKey opens every ticket that a client ever gets with
// every key there ever was, and looks for the secrets of all its connections.
func TestTLS12SecretKeepsToOneKey(t *testing.T) {
	for name, set := range kinds {
		t.Run(name, func(t *testing.T) {
			src := source(fresh())
			var log bytes.Buffer
			base := serverConfig(t)
			c, p := client(tls.VersionTLS12)
			c.KeyLogWriter = &log
			set(t, base, c)
			addr := serve(t, Config(base, src))

			var active []*tls.Config // every key that ever sealed
			var tickets [][]byte
			for range 30 {
				scope := newBinding(&Binder{Source: src}).domains[base.ClientAuth].scope
				active = append(active, plain(t, src.Ring().TicketKeys(scope)[0]))
				for range 2 {
					if _, err := get(addr, c); err != nil {
						t.Fatal(err)
					}
					tickets = append(tickets, p.ticket(t))
				}
				src.Store(next(t, src.Ring()))
			}
			secrets := map[string]bool{}
			for line := range strings.Lines(log.String()) { // CLIENT_RANDOM random secret
				secrets[strings.Fields(line)[2]] = true
			}
			if n := len(secrets); n != 3 { // of 30 intervals, at 14 a key
				t.Fatalf("%d secrets, want 3", n)
			}
			sealed := map[string]int{}
			for i, ticket := range tickets {
				for k, key := range active {
					s, _ := key.DecryptTicket(ticket, tls.ConnectionState{})
					if s == nil {
						continue
					}
					b, _ := s.Bytes()
					for secret := range secrets {
						if raw, _ := hex.DecodeString(secret); !bytes.Contains(b, raw) {
							continue
						}
						if first, known := sealed[secret]; known && first != k {
							t.Fatalf("ticket %d seals a secret with key %d, which key %d had sealed", i, k, first)
						}
						sealed[secret] = k
					}
				}
			}
			if len(sealed) != len(secrets) {
				t.Fatalf("tickets hold %d of %d secrets", len(sealed), len(secrets))
			}
		})
	}
}

// TestTLS12SessionEncodesAlike proves what handBack rests upon.
func TestTLS12SessionEncodesAlike(t *testing.T) {
	for name, set := range kinds {
		for _, suite := range []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256} {
			t.Run(name+"/"+tls.CipherSuiteName(suite), func(t *testing.T) {
				base := serverConfig(t)
				c, _ := client(tls.VersionTLS12)
				c.CipherSuites = []uint16{suite}
				set(t, base, c)
				bound := Config(base, keyring.Static(fresh()))
				wrap, unwrap := bound.WrapSession, bound.UnwrapSession
				var opened, sealed []byte
				bound.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
					s, err := unwrap(ticket, cs)
					if s != nil {
						opened, _ = s.Bytes()
					}
					return s, err
				}
				bound.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
					sealed, _ = s.Bytes()
					return wrap(cs, s)
				}
				addr := serve(t, bound)
				resumes(t, "first", addr, c, false)
				resumes(t, "second", addr, c, true)
				if len(opened) == 0 || !bytes.Equal(opened, sealed) {
					t.Errorf("a resumed session was opened as\n%x and sealed as\n%x", opened, sealed)
				}
			})
		}
	}
}

// TestTLS12ParallelResumptions is a browser: one session, several connections
// at once, each of which has been opened before the first is sealed.
func TestTLS12ParallelResumptions(t *testing.T) {
	const n = 4
	src := source(fresh())
	var arrived atomic.Int64
	all := make(chan struct{})
	base := serverConfig(t)
	base.VerifyConnection = func(cs tls.ConnectionState) error {
		if !cs.DidResume {
			return nil
		}
		if arrived.Add(1) == n {
			close(all)
		}
		select {
		case <-all:
		case <-time.After(10 * time.Second): // the others did not resume
		}
		return nil
	}
	addr := serve(t, Config(base, src))
	first, p := client(tls.VersionTLS12)
	resumes(t, "first", addr, first, false)
	src.Store(next(t, src.Ring()))

	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			c, own := client(tls.VersionTLS12)
			own.session = p.session
			cs, err := get(addr, c)
			if err != nil || !cs.DidResume {
				t.Errorf("resumed = %v, %v", cs.DidResume, err)
			} else if !bytes.Equal(own.ticket(t), p.ticket(t)) {
				t.Error("a resumed connection got another ticket")
			}
		})
	}
	clients.Wait()
}

func TestTLS12UnknownSessionGetsNoTicket(t *testing.T) {
	c := Config(nil, keyring.Static(fresh()))
	cs := tls.ConnectionState{Version: tls.VersionTLS12, DidResume: true}
	if ticket, err := c.WrapSession(cs, session(t)); len(ticket) > 0 || err != nil {
		t.Errorf("sealed %d bytes, %v, want none", len(ticket), err)
	}
	cs.Version = tls.VersionTLS13
	if ticket, err := c.WrapSession(cs, session(t)); len(ticket) == 0 || err != nil {
		t.Errorf("TLS 1.3: sealed %d bytes, %v, want some", len(ticket), err)
	}
}

func TestHandBackIsBounded(t *testing.T) {
	numbered := func(i int) *tls.SessionState {
		return &tls.SessionState{Extra: [][]byte{binary.BigEndian.AppendUint64(nil, uint64(i))}}
	}
	for _, size := range []int{1, 123, maxTicket} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var h handBack
			least := maxHandBack / (size + handBackCost) // are held at any time
			for i := range 3 * least {
				ticket := make([]byte, size)
				ticket[0] = byte(i)
				h.remember(numbered(i), ticket)
				h.remember(numbered(i), ticket) // costs nothing
				if j := max(0, i-least+1); len(h.ticket(numbered(j))) != size || h.ticket(numbered(j))[0] != byte(j) {
					t.Fatalf("session %d is not known after session %d", j, i)
				}
				if n := len(h.young) + len(h.old); n > 2*(least+1) {
					t.Fatalf("%d sessions are held, want at most %d", n, 2*(least+1))
				}
			}
			if len(h.ticket(numbered(0))) > 0 {
				t.Error("the first session is still known")
			}
		})
	}
}
