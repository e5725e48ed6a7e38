package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	rate     = 60  // connections a second, all clients together
	clients  = 400 // some come back at once, some after minutes
	flying   = 64  // connections at once
	lifetime = 21 * interval
	noted    = 20 // misses that are told in words
)

// fact is what a node said of itself on a connection; epoch 0 is nothing yet.
type fact struct {
	epoch, version uint64
	local          bool
}

// facts are what a node said last before a connection, and on it. What it was at
// the handshake is between them.
type facts [2]fact

// crowd is many TLS clients.
type crowd struct {
	name  string
	roots *x509.CertPool
	each  [clients]client

	mu     sync.Mutex // guards the rest
	matrix Matrix
	known  []fact // of each address, as of the last connection
}

// client is one TLS client, and its tls.ClientSessionCache of one ticket.
type client struct {
	mu     sync.Mutex // held during a connection
	ticket *tls.ClientSessionState
	fresh  *tls.ClientSessionState // what this connection brought
	from   int                     // address that gave it
	facts  facts                   // of who gave it
	issued time.Time
}

func (c *client) Get(string) (*tls.ClientSessionState, bool) { return c.ticket, c.ticket != nil }

func (c *client) Put(_ string, t *tls.ClientSessionState) { c.fresh = t }

// load connects to random addresses until ctx ends. It prints the matrix now and
// then, and shows it at an address.
func load(ctx context.Context, caFile, name, show string, addresses []string) error {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	c := &crowd{name: name, roots: x509.NewCertPool(), known: make([]fact, len(addresses)), matrix: Matrix{
		Addresses: addresses, Nodes: make([]string, len(addresses)), Links: make([]Link, len(addresses)),
	}}
	for range addresses {
		c.matrix.Cells = append(c.matrix.Cells, make([]Cell, len(addresses)))
	}
	if !c.roots.AppendCertsFromPEM(pem) || len(addresses) == 0 {
		return fmt.Errorf("want --ca-file with a certificate (not so: %q), and HOST:PORT…", caFile)
	}
	srv := &http.Server{Addr: show, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(c.json())
		})}
	var wg sync.WaitGroup
	defer wg.Wait()
	failed := make(chan error, 1)
	wg.Go(func() { failed <- srv.ListenAndServe() })
	defer srv.Close()

	slots := make(chan struct{}, flying)
	next, print := time.NewTicker(time.Second/rate), time.NewTicker(10*time.Second)
	defer next.Stop()
	defer print.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-print.C:
			var b bytes.Buffer
			c.mu.Lock()
			c.matrix.Print(&b)
			c.mu.Unlock()
			fmt.Println(b.String())
			continue
		case <-next.C:
		}
		// The fourth power makes most connections those of a few clients, and
		// leaves the rest to come back with old tickets.
		one := &c.each[int(clients*math.Pow(rand.Float64(), 4))]
		if !one.mu.TryLock() {
			continue
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				c.visit(one, rand.N(len(addresses)))
				one.mu.Unlock()
				<-slots
			})
		default:
			one.mu.Unlock()
		}
	}
}

func (c *crowd) json() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := json.Marshal(c.matrix)
	if err != nil {
		panic(err) // it is numbers and strings
	}
	return b
}

// visit makes one connection, reads the page, and judges what became of the
// ticket.
func (c *crowd) visit(one *client, at int) {
	c.mu.Lock()
	before, address := c.known[at], c.matrix.Addresses[at]
	c.mu.Unlock()
	link := func(f func(*Link)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		f(&c.matrix.Links[at])
	}
	raw, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		link(func(l *Link) { l.Refused++ })
		return
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	one.fresh = nil
	conn := tls.Client(raw, &tls.Config{ServerName: c.name, RootCAs: c.roots, ClientSessionCache: one, MinVersion: tls.VersionTLS13})
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+c.name+"\r\nConnection: close\r\n\r\n")
	var page []byte
	if err == nil {
		page, err = io.ReadAll(io.LimitReader(conn, 64<<10))
	}
	node, now, known := read(page)
	if err != nil || !known {
		link(func(l *Link) { l.Broken++ })
		return
	}
	link(func(l *Link) { l.Made++ })
	c.mu.Lock()
	defer c.mu.Unlock()
	there := facts{before, now}
	if before.epoch == 0 {
		there[0] = now
	}
	c.known[at], c.matrix.Nodes[at] = now, node
	if age := time.Since(one.issued); one.ticket != nil {
		cell := &c.matrix.Cells[one.from][at]
		switch {
		case conn.ConnectionState().DidResume:
			cell.Resumed++
			c.matrix.Oldest = max(c.matrix.Oldest, age.Seconds())
		case age > lifetime || one.facts.due(there):
			cell.Due++
		default:
			cell.Missed++
			if len(c.matrix.Misses) < noted {
				c.matrix.Misses = append(c.matrix.Misses, fmt.Sprintf("%s: ticket of %s, %.1f s old, %+v, not taken by %s, %+v",
					time.Now().UTC().Format(time.TimeOnly), c.matrix.Addresses[one.from], age.Seconds(), one.facts, address, there))
			}
		}
	}
	one.ticket, one.from, one.facts, one.issued = one.fresh, at, there, time.Now()
}

// due reports whether a ticket of one node may end at another: after a revoke,
// where either has no ring of the fleet, and where the other has missed more
// than one rotation, so that it never saw the key staged.
func (f fact) due(at fact) bool {
	return f.local || at.local || f.epoch != at.epoch || f.version > at.version+1
}

// due reports whether a ticket may end by any of what the two nodes were.
func (f facts) due(there facts) bool {
	return f[0].due(there[0]) || f[0].due(there[1]) || f[1].due(there[0]) || f[1].due(there[1])
}

// read takes from an answer what the page says.
func read(answer []byte) (node string, f fact, ok bool) {
	m := map[string]string{}
	for line := range strings.Lines(string(answer)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			m[name] = value
		}
	}
	var bad error
	number := func(name string) uint64 {
		n, err := strconv.ParseUint(m[name], 10, 64)
		if err != nil {
			bad = err
		}
		return n
	}
	f = fact{epoch: number("epoch"), version: number("version"), local: m["local"] == "true"}
	return m["node"], f, bad == nil && m["node"] != ""
}
