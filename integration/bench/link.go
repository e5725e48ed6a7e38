package main

import (
	"net"
	"sync"
	"time"
)

// link forwards TCP connections and has every byte arrive later, each way. It is
// not a library because those that do this are servers with an interface of their
// own; and not the kernel's netem because that needs root.
type link struct {
	to    string
	delay time.Duration
	ln    net.Listener
	done  sync.WaitGroup

	mu    sync.Mutex // guards the rest
	ended bool
	conns []net.Conn
}

// newLink starts a link to an address. The caller ends it.
func newLink(to string, delay time.Duration) (*link, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{to: to, delay: delay, ln: ln}
	l.done.Go(l.accept)
	return l, nil
}

func (l *link) address() string { return l.ln.Addr().String() }

// end closes the connections and waits for all of them.
func (l *link) end() {
	l.ln.Close()
	l.mu.Lock()
	l.ended = true
	for _, c := range l.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.done.Wait()
}

func (l *link) accept() {
	for {
		near, err := l.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.DialTimeout("tcp", l.to, 5*time.Second)
		if err != nil {
			near.Close()
			continue
		}
		if !l.keep(near, far) {
			return
		}
		l.done.Go(func() { l.carry(far, near) })
		l.done.Go(func() { l.carry(near, far) })
	}
}

// keep has end close a pair, or does that itself if it comes too late.
func (l *link) keep(pair ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		for _, c := range pair {
			c.Close()
		}
		return false
	}
	l.conns = append(l.conns, pair...)
	return true
}

// chunk is bytes that are under way.
type chunk struct {
	at    time.Time
	bytes []byte
}

// carry has what is read from one end written to the other, later. It goes on to
// read meanwhile: a slow link is not a thin one.
func (l *link) carry(to, from net.Conn) {
	way := make(chan chunk, 1024)
	l.done.Go(func() {
		defer to.Close()
		for c := range way {
			time.Sleep(time.Until(c.at))
			if _, err := to.Write(c.bytes); err != nil {
				from.Close()
			}
		}
		time.Sleep(l.delay) // which the end takes as well
	})
	defer close(way)
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			way <- chunk{time.Now().Add(l.delay), buf[:n]}
		}
		if err != nil {
			return
		}
	}
}
