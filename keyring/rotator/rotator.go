// Package rotator keeps one ring of session ticket keys fresh in etcd, and
// every node's copy of it current. It is what a server links: a [Rotator] is
// the keyring.Source that tlsbind takes.
//
//	rot, err := rotator.New(rotator.Config{Client: etcd, Ring: "www", KEK: kek})
//	...
//	go rot.Run(ctx)
//	srv.TLSConfig = tlsbind.Config(srv.TLSConfig, rot)
//
// TLS never waits for etcd. Until the fleet's ring is known, and when it has
// not been rotated for too long, a node seals with a key of its own.
package rotator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/election"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// Outage says what to seal with when the fleet's ring is stale.
type Outage string

const (
	// Local seals with a key of this node's own, rotated by the same policy:
	// tickets then resume at the node that issued them. It is the default.
	Local Outage = "local"
	// Keep goes on sealing with the fleet's ring, however old.
	Keep Outage = "keep"
)

// DefaultTTL is the lease of a candidate unless its Config says otherwise.
const DefaultTTL = 15 * time.Second

// Config says which ring a Rotator keeps, and how. Client, Ring and KEK are
// required.
type Config struct {
	// Client stays the caller's, who closes it after Run has returned. Give it
	// DialKeepAliveTime and DialKeepAliveTimeout: without them a link that dies
	// in silence delays everything by minutes.
	Client *clientv3.Client
	Ring   string // one name for each trust domain; 1 to 128 letters, digits or .-_
	KEK    *seal.KEK
	ID     string // of this node, unique in the fleet, likewise; default: host name and a random suffix
	Prefix string // of all rings in etcd; default /stekring
	// Policy decides while this node leads; zero is keyring.DefaultPolicy.
	Policy keyring.Policy
	Outage Outage // default Local
	// TTL of leases, in whole seconds, shorter than the interval; zero is
	// DefaultTTL. A leader's death is noticed after about as long.
	TTL time.Duration
	// Observer never leads, and holds no lease: it follows the ring and
	// reports nothing.
	Observer bool
	// NoReports reports only once this node has led, and while it holds a ring that
	// etcd lost or cannot read what etcd has. It saves etcd a lease and, for each
	// rotation, a write. A silent node is in no status, a rotate or revoke does not
	// wait for it, and it cannot vouch for the ring when one with a wrong clock
	// leads: leave it off on a few.
	NoReports bool
	Listeners []string    // addresses, for the node's report
	Build     string      // version, for the node's report
	Log       *zap.Logger // nil is silent
}

// Rotator is one node of a fleet. Its methods are safe for concurrent use.
type Rotator struct {
	cfg  Config
	path fleet.Layout
	log  *zap.Logger
	view view

	// reading has one token, held from before etcd is asked for the ring until
	// the answer is taken in, and before mu and the view's own lock are. It is no
	// mutex because testing/synctest does not see that those who wait for one wait.
	reading chan struct{}

	mu      sync.Mutex
	kek     *seal.KEK
	policy  keyring.Policy // while this node leads
	running bool
	news    chan struct{} // closed and replaced when anything below or in view changes
	etcd    sighting
	link    error     // of the last look at etcd
	heard   time.Time // when this node last was in step with etcd
	loud    time.Time // when a refusal was last logged
	term    *election.Term
	led     bool      // ever
	since   time.Time // when the term began
	stall   error     // of the last turn
	rotated uint64    // rotations this node has committed
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// New checks cfg and touches no network. The Rotator is a Source from then on.
func New(cfg Config) (*Rotator, error) {
	if cfg.ID == "" {
		host, _ := os.Hostname()
		cfg.ID = strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9.-]+`).ReplaceAllString(host, "-") + "-" + rand.Text()[:6])
	}
	if cfg.Policy == (keyring.Policy{}) {
		cfg.Policy = keyring.DefaultPolicy
	}
	if cfg.Outage == "" {
		cfg.Outage = Local
	}
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	switch {
	case cfg.Client == nil:
		return nil, errors.New("rotator: Config.Client: missing; make one with clientv3.New")
	case cfg.KEK == nil:
		return nil, errors.New("rotator: Config.KEK: missing; read one with seal.LoadKEK")
	case !nameRule.MatchString(cfg.Ring) || strings.Trim(cfg.Ring, ".") == "":
		return nil, fmt.Errorf("rotator: Config.Ring: %.140q: want 1 to 128 letters, digits or .-_", cfg.Ring)
	case !nameRule.MatchString(cfg.ID):
		return nil, fmt.Errorf("rotator: Config.ID: %.140q: want 1 to 128 letters, digits or .-_", cfg.ID)
	case cfg.Prefix != "" && (cfg.Prefix[0] != '/' || strings.HasSuffix(cfg.Prefix, "/")):
		return nil, fmt.Errorf("rotator: Config.Prefix: %.140q: must begin with a slash and not end with one", cfg.Prefix)
	case cfg.Outage != Local && cfg.Outage != Keep:
		return nil, fmt.Errorf("rotator: Config.Outage: %.40q: want local or keep", string(cfg.Outage))
	case cfg.TTL < time.Second || cfg.TTL%time.Second != 0:
		return nil, fmt.Errorf("rotator: Config.TTL: %v: want whole seconds, at least one", cfg.TTL)
	}
	if err := cfg.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("rotator: Config.Policy: %w", err)
	}
	r := &Rotator{
		cfg: cfg, path: fleet.NewLayout(cfg.Prefix, cfg.Ring), log: cfg.Log,
		kek: cfg.KEK, policy: cfg.Policy, reading: make(chan struct{}, 1), news: make(chan struct{}),
	}
	r.view.init(cfg.Policy, cfg.Outage, r.log, r.tell)
	return r, nil
}

// Reconfigure goes on with another KEK and policy, as when their files have
// changed; the zero policy is keyring.DefaultPolicy. It touches no network. A
// node that lacked the KEK of the ring in etcd uses it from its next look on, at
// most 30 s later. If it returns an error, nothing has changed.
func (r *Rotator) Reconfigure(kek *seal.KEK, policy keyring.Policy) error {
	if policy == (keyring.Policy{}) {
		policy = keyring.DefaultPolicy
	}
	if kek == nil {
		return errors.New("rotator: Reconfigure: no KEK")
	}
	if err := policy.Validate(); err != nil {
		return fmt.Errorf("rotator: Reconfigure: %w", err)
	}
	r.mu.Lock()
	r.kek, r.policy = kek, policy
	r.mu.Unlock()
	r.tell()
	return nil
}

// configured returns what Reconfigure can change.
func (r *Rotator) configured() (*seal.KEK, keyring.Policy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kek, r.policy
}

// read holds reading until the func that it returns is called.
func (r *Rotator) read() (done func()) {
	r.reading <- struct{}{}
	return func() { <-r.reading }
}

// Run follows the ring and, unless this is an observer, stands for election and
// leads when elected. It blocks until ctx ends, resigns, waits for all it
// started and returns context.Cause(ctx); without etcd that takes a few seconds.
// While it runs, a second call returns an error at once.
func (r *Rotator) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.running {
		r.mu.Unlock()
		return errors.New("rotator: Run is running already")
	}
	r.running = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}()

	var wg sync.WaitGroup
	if !r.cfg.Observer {
		wg.Go(func() { r.stand(ctx) })
		wg.Go(func() { r.report(ctx) })
	}
	r.follow(ctx)
	wg.Wait()
	return context.Cause(ctx)
}

// Ring returns what this node may use now. It never blocks on etcd and never
// returns nil, with or without Run.
func (r *Rotator) Ring() *keyring.Ring { return r.view.ring(time.Now()) }
