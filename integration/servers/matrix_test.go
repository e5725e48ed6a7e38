package servers_test

import (
	"context"
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/resume"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// patience is for a machine in trouble; only a broken build waits as long.
const patience = time.Minute

// A row is what one kind was seen to do in one version of TLS.
type row struct{ swap, elsewhere, proto, revoke, check string }

const nothing = "–" // was there to see

var (
	bound      = row{"yes", "yes", nothing, "yes", "passes"}
	unbound    = row{"no", "no", nothing, "no", "fails"}
	ticketless = row{"no ticket", "no ticket", nothing, "no ticket", "fails"}
)

func (r row) with(proto string) row {
	r.proto = proto
	return r
}

func refused(why string) row {
	return row{"refused: " + why, nothing, nothing, nothing, nothing}
}

func cell(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

// TestMatrix measures every kind, and holds docs/reference/servers.md to it.
func TestMatrix(t *testing.T) {
	all := kinds()
	seen := make([][]row, len(all))
	t.Run("kind", func(t *testing.T) {
		for i, k := range all {
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				for _, version := range k.versions() {
					got := measure(t, k, version)
					if got != k.want {
						t.Errorf("%s, %s = %+v, want %+v", k.name, tls.VersionName(version), got, k.want)
					}
					seen[i] = append(seen[i], got)
				}
			})
		}
	})
	for i, k := range all {
		if len(seen[i]) != len(k.versions()) {
			t.Log("not every kind was measured: the page is not looked at")
			return
		}
	}
	holdPage(t, all, seen)
}

// measure starts two servers of a kind, each with a Source of its own, and comes
// to them as clients do.
func measure(t *testing.T, k kind, version uint16) (r row) {
	ring := fresh(1)
	var nodes []dial
	var sources []*swap
	replace := func(by *keyring.Ring) {
		ring = by
		for _, s := range sources {
			s.Store(by)
		}
	}
	for range 2 {
		src := source(ring)
		d, err := k.start(t, &tls.Config{Certificates: []tls.Certificate{cert}}, src)
		if err != nil {
			why, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "tlsbind: "), ":")
			return refused(why)
		}
		nodes, sources = append(nodes, d), append(sources, src)
	}
	a, b := nodes[0], nodes[1]
	c := client{t: t, version: version}
	defer func() { r.proto = c.spoken() }()
	r.check = cell(check(t, a, sources[0], version) == nil, "passes", "fails")

	old := c.ticket(a)
	if old == nil {
		r.swap, r.elsewhere, r.revoke = "no ticket", "no ticket", "no ticket"
		return r
	}
	if !c.resumes(a, old) {
		t.Fatalf("%s does not resume its own ticket", k.name)
	}
	for range 3 {
		replace(next(t, ring))
	}
	r.elsewhere = cell(c.resumes(b, old), "yes", "no")

	other, d := client{t: t, version: version}, independent(t, k, ring)
	young := c.ticket(a)
	r.swap = cell(other.resumes(d, young) && c.resumes(a, other.ticket(d)), "yes", "no")

	replace(fresh(2))
	resumed := false
	for _, node := range nodes {
		resumed = c.resumes(node, old) || c.resumes(node, young) || resumed
	}
	r.revoke = cell(!resumed, "yes", "no")
	return r
}

// independent is a server of crypto/tls alone that has the active key of a ring
// and no other.
func independent(t *testing.T, k kind, ring *keyring.Ring) dial {
	c := &tls.Config{Certificates: []tls.Certificate{cert}}
	c.SetSessionTicketKeys(ring.TicketKeys("")[:1])
	if k.quic {
		return listenerQUIC(t, c)
	}
	return listener(t, c)
}

// check asks the binding itself whether a server is bound.
func check(t *testing.T, d dial, src keyring.Source, version uint16) error {
	b := tlsbind.Binder{Source: src}
	return b.Check(t.Context(), func(ctx context.Context, c *tls.Config) (io.Closer, error) {
		c.ServerName, c.MaxVersion = name, version
		conn, err := d(ctx, c)
		return conn.Closer, err
	})
}

// client connects in one version of TLS, and notes by which protocols.
type client struct {
	t       *testing.T
	version uint16
	protos  []string
}

func (c *client) connect(d dial, cache *resume.Cache, use func(context.Context, conn)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	// A client of TLS 1.3 alone is one for which autocert wants an RSA key.
	conn, err := d(ctx, &tls.Config{RootCAs: roots, ServerName: name, ClientSessionCache: cache, MaxVersion: c.version})
	if err != nil {
		c.t.Fatalf("%s: %v", tls.VersionName(c.version), err)
	}
	defer conn.Close()
	if got := conn.state.Version; got != c.version {
		c.t.Fatalf("version = %s, want %s", tls.VersionName(got), tls.VersionName(c.version))
	}
	c.protos = append(c.protos, conn.state.NegotiatedProtocol)
	use(ctx, conn)
}

// ticket shakes hands in full and returns the session that it gets, or nil.
func (c *client) ticket(d dial) (s *tls.ClientSessionState) {
	c.t.Helper()
	cache := new(resume.Cache)
	c.connect(d, cache, func(ctx context.Context, conn conn) { s, _ = cache.Await(ctx, conn.Closer) })
	return s
}

// resumes offers a session and reports whether it was resumed.
func (c *client) resumes(d dial, s *tls.ClientSessionState) (did bool) {
	c.t.Helper()
	c.connect(d, &resume.Cache{Offer: s}, func(_ context.Context, conn conn) { did = conn.state.DidResume })
	return did
}

// spoken returns the version of HTTP above 1.1 that every connection was made by.
func (c *client) spoken() string {
	for _, p := range c.protos {
		if p != c.protos[0] || p != "h2" && p != "h3" {
			return nothing
		}
	}
	if len(c.protos) == 0 {
		return nothing
	}
	return c.protos[0]
}
