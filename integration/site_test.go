package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// How the processes of a site are configured, unless a test changes it.
const (
	interval = 4 * time.Second
	lifetime = 48 * time.Second
	ttl      = 2 * time.Second
	ringPath = "/stekring/www/ring"
)

// site is what processes on one ring share: an etcd, a KEK file, a certificate.
type site struct {
	t        *testing.T
	dir      string
	endpoint string
	kekFile  string
	certFile string
	keyFile  string
	roots    *x509.CertPool // every authority that a certificate here had

	authority []byte // of the last
}

func newSite(t *testing.T, endpoint string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{
		t: t, dir: dir, endpoint: endpoint, roots: x509.NewCertPool(),
		kekFile:  filepath.Join(dir, "kek"),
		certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"),
	}
	mustRun(t, "keygen", "--out", s.kekFile)
	s.certify()
	return s
}

// certify writes another certificate to the site's files, by an authority of
// its own, and returns it.
func (s *site) certify() tls.Certificate {
	s.t.Helper()
	cert, ca := s.pair(s.certFile, s.keyFile)
	s.roots.AppendCertsFromPEM(ca)
	s.authority = ca
	return cert
}

// pair writes a new certificate and its key to files.
func (s *site) pair(certFile, keyFile string) (cert tls.Certificate, ca []byte) {
	s.t.Helper()
	cert, ca, err := devcert.New("localhost")
	if err != nil {
		s.t.Fatal(err)
	}
	s.writePair(certFile, keyFile, cert)
	return cert, ca
}

// writePair writes a certificate and its key to files.
func (s *site) writePair(certFile, keyFile string, cert tls.Certificate) {
	s.t.Helper()
	certPEM, keyPEM, err := devcert.Files(cert)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(certFile, certPEM)
	s.write(keyFile, keyPEM)
}

func (s *site) write(file string, data []byte) {
	s.t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// configure writes the configuration of a node and returns the file. Both its
// addresses take a free port, which the log tells.
func (s *site) configure(id string, change ...func(*config.Config)) string {
	s.t.Helper()
	c := config.Config{
		Ring: "www", NodeID: id,
		Etcd:      config.Etcd{Endpoints: []string{s.endpoint}, Prefix: "/stekring"},
		Rotation:  config.Rotation{Interval: interval, TicketLifetime: lifetime, Enabled: true},
		Election:  config.Election{TTL: ttl, Candidate: true},
		Reports:   config.Reports{Enabled: true},
		Seal:      config.Seal{KEKFile: s.kekFile},
		Outage:    "local",
		Tickets:   config.Tickets{Enabled: true},
		Listeners: []config.Listener{{Address: "127.0.0.1:0", CertFile: s.certFile, KeyFile: s.keyFile}},
		HTTP:      config.HTTP{Address: "127.0.0.1:0"},
		Log:       config.Log{Level: "info", Format: "json"},
	}
	for _, f := range change {
		f(&c)
	}
	b, err := c.YAML()
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.dir, id+".yaml")
	s.write(file, b)
	return file
}

// run starts a node.
func (s *site) run(id string, change ...func(*config.Config)) *process {
	s.t.Helper()
	p := launch(s.t, nil, "run", "--config", s.configure(id, change...))
	p.id = id
	return p
}

// fleet starts nodes and waits until all of them use the fleet's ring.
func (s *site) fleet(ids ...string) (nodes []*process) {
	s.t.Helper()
	for _, id := range ids {
		nodes = append(nodes, s.run(id))
	}
	for _, p := range nodes {
		p.share()
	}
	return nodes
}

// share waits until a node seals with the fleet's ring.
func (p *process) share() {
	p.t.Helper()
	eventually(p.t, p.id+" seals with the fleet's ring", func() bool {
		s := p.status()
		return s.Info.Version > 0 && !s.Local
	})
}

func (s *site) kek() *seal.KEK {
	s.t.Helper()
	k, err := seal.LoadKEK(s.kekFile)
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// history is every ring that a site's etcd has held.
type history struct {
	t     *testing.T
	mu    sync.Mutex
	rings []*keyring.Ring
}

// record opens and keeps every ring until the test ends, from the first on.
func (s *site) record(client *clientv3.Client) *history {
	s.t.Helper()
	h, kek := &history{t: s.t}, s.kek()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for resp := range client.Watch(ctx, ringPath, clientv3.WithRev(1)) {
			for _, ev := range resp.Events {
				ring, err := kek.Open(ringPath, ev.Kv.Value)
				if err != nil {
					s.t.Errorf("etcd revision %d: %v", ev.Kv.ModRevision, err)
					continue
				}
				h.mu.Lock()
				h.rings = append(h.rings, ring)
				h.mu.Unlock()
			}
		}
	})
	s.t.Cleanup(func() { cancel(); wg.Wait() })
	return h
}

func (h *history) all() []*keyring.Ring {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rings[:len(h.rings):len(h.rings)]
}

func (h *history) version() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.rings) == 0 {
		return 0
	}
	return h.rings[len(h.rings)-1].Info().Version
}

// settle waits until a version is reached and every node has the newest ring.
func (h *history) settle(version uint64, nodes []*process) {
	h.t.Helper()
	eventually(h.t, "every node has the newest ring", func() bool {
		v := h.version()
		if v < version {
			return false
		}
		for _, p := range nodes {
			if s := p.status(); s.Info.Version != v || s.Local || s.Problem != "" {
				return false
			}
		}
		return true
	})
}

// check wants every ring to be a rotation of the one before, an interval later.
// The slack is for the way from a stamp to its commit; two rotations for one due
// time would be far closer.
func (h *history) check() {
	h.t.Helper()
	const slack = 200 * time.Millisecond
	rings := h.all()
	for i, r := range rings {
		now := r.Info()
		if now.Version != uint64(i+1) || now.Epoch != 1 {
			h.t.Errorf("ring %d is epoch %d version %d", i+1, now.Epoch, now.Version)
		}
		if i == 0 {
			continue
		}
		was := rings[i-1].Info()
		if staged := was.Keys[len(was.Keys)-1].ID; now.Keys[0].ID != staged {
			h.t.Errorf("version %d has %s active, want what version %d had staged, %s", now.Version, now.Keys[0].ID, was.Version, staged)
		}
		if gap := now.Rotated.Sub(was.Rotated); gap < interval-slack {
			h.t.Errorf("version %d came %v after the one before, want %v", now.Version, gap, interval)
		}
	}
}
