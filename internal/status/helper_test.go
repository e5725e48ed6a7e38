package status

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var policy10 = keyring.Policy{Interval: 10 * time.Minute, TicketLifetime: time.Hour}

var layout = fleet.NewLayout("", "www")

// site is nodes on one ring, and the page of the first.
type site struct {
	t     *testing.T
	etcd  *memory.Etcd
	kek   *seal.KEK
	node  *rotator.Rotator
	page  *Page
	mux   *http.ServeMux
	reads atomic.Int64 // of the page at etcd
	stop  func()       // the page
}

// inMemory runs a test where time passes at once. What is to be before the node
// starts is in before.
func inMemory(t *testing.T, test func(t *testing.T, s *site), before ...func(s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, etcd: memory.New(), kek: seal.NewKEK(), mux: http.NewServeMux()}
		for _, f := range before {
			f(s)
		}
		s.node, _ = s.run("edge-1")
		client := s.etcd.Client()
		counted := etcdtest.Commits(client.KV, func(_ []clientv3.Op, commit etcdtest.Commit) (*clientv3.TxnResponse, error) {
			s.reads.Add(1)
			return commit()
		})
		s.page = New(Config{Node: s.node, Etcd: counted, Layout: layout, Listeners: []string{":8443"}, Build: "v1", Tickets: metrics.New(s.node)})
		s.page.Register(s.mux)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.page.Run(ctx) })
		s.stop = func() { cancel(); wg.Wait() }
		defer client.Close()
		defer s.stop()
		test(t, s)
	})
}

// run runs a node until the test ends or stop is called.
func (s *site) run(id string, change ...func(*rotator.Config)) (r *rotator.Rotator, stop func()) {
	s.t.Helper()
	c := rotator.Config{Client: s.etcd.Client(), Ring: "www", ID: id, KEK: s.kek, Policy: policy10, Listeners: []string{":443"}}
	for _, f := range change {
		f(&c)
	}
	r, err := rotator.New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait(); _ = c.Client.Close() })
	s.t.Cleanup(stop)
	return r, stop
}

// answer is a ResponseWriter that can be read while it is written.
type answer struct {
	mu     sync.Mutex
	header http.Header
	code   int
	body   bytes.Buffer
	wrote  time.Time
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) Flush()              {}

func (a *answer) WriteHeader(code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.code == 0 {
		a.code = code
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wrote = time.Now()
	return a.body.Write(b)
}

// taken returns what has been written since it was last taken.
func (a *answer) taken() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return string(a.body.Next(a.body.Len()))
}

// get asks for a path and returns the whole answer.
func (s *site) get(path string) *answer {
	s.t.Helper()
	a, leave := s.ask(path)
	synctest.Wait()
	for range 10 { // it may wait for a look at the fleet
		time.Sleep(patience / 5)
	}
	leave()
	return a
}

// ask asks for a path, until leave is called.
func (s *site) ask(path string) (a *answer, leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, "GET", path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	a = &answer{header: http.Header{}}
	var wg sync.WaitGroup
	wg.Go(func() { s.mux.ServeHTTP(a, r) })
	return a, func() { cancel(); wg.Wait() }
}

// frames returns what came as events, and how many comments.
func frames(stream string) (events []string, comments int) {
	lines := bufio.NewReader(strings.NewReader(stream))
	var event strings.Builder
	for {
		l, err := lines.ReadString('\n')
		switch {
		case l == ":\n":
			comments++
		case l == "\n" && event.Len() > 0:
			events = append(events, event.String())
			event.Reset()
		case strings.HasPrefix(l, "data: "):
			event.WriteString(strings.TrimPrefix(l, "data: "))
		}
		if err == io.EOF {
			return events, comments
		}
	}
}
