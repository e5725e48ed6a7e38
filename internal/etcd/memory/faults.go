package memory

import (
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Down makes the server unreachable: calls of all clients wait for Up or the
// end of their contexts, watches and keepalives hear nothing. No lease expires
// meanwhile: there is nobody to end it.
func (e *Etcd) Down() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = true
}

// Up ends Down. As after any start of an etcd, every lease has its whole TTL
// before it. Watches go on where they were.
func (e *Etcd) Up() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.down {
		return
	}
	e.down = false
	for id, l := range e.leases {
		e.renew(id, l)
	}
	for w := range e.watches {
		w.reconnect()
	}
	e.tell()
}

// Wipe takes the server down, if it is up, and deletes all it has: its revision
// is 1 again.
func (e *Etcd) Wipe() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = true
	e.data = empty()
}

// Save takes a copy of all that etcd has. The function that it returns puts the
// copy back, and takes the server down for that if it is up. The revision goes
// back with it: a watch that is beyond it then hears nothing, and no error,
// until the revision has caught up.
func (e *Etcd) Save() func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	saved := e.clone()
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.down = true
		e.data = saved.clone()
	}
}

// Cut makes the server unreachable to one client of this etcd. It is up: leases
// that the client keeps expire.
func (e *Etcd) Cut(c *clientv3.Client) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conn(c).cut = true
}

// Mend ends Cut.
func (e *Etcd) Mend(c *clientv3.Client) {
	e.mu.Lock()
	defer e.mu.Unlock()
	conn := e.conn(c)
	if !conn.cut {
		return
	}
	conn.cut = false
	for w := range e.watches {
		if w.conn == conn {
			w.reconnect()
		}
	}
	e.tell()
}

// Compact drops what was before a revision. It panics where etcd has an error.
func (e *Etcd) Compact(rev int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.compact(rev); err != nil {
		panic(err)
	}
}

// Fail makes the server answer every call with err, until it is called with
// nil, end all watches with it, and leave keepalives without an answer. Leases
// expire. Whoever cannot reach the server does not hear of it. Of a watch's
// error only the text is err's, unless it is one of etcd's own.
func (e *Etcd) Fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failure = err
	if err != nil {
		for w := range e.watches {
			if w.reaches() {
				w.fail(canceled(e.rev, err))
			}
		}
	}
	e.tell()
}

func (e *Etcd) conn(c *clientv3.Client) *conn {
	if w, ok := c.Watcher.(watcher); ok && w.e == e {
		return w.conn
	}
	panic("memory: not a client of this etcd")
}

// tell wakes whoever waits for the server.
func (e *Etcd) tell() {
	close(e.news)
	e.news = make(chan struct{})
}

// reconnect resumes a watch that reaches the server again.
func (w *watch) reconnect() {
	switch {
	case !w.reaches():
	case w.e.failure != nil:
		w.fail(canceled(w.e.rev, w.e.failure))
	default:
		w.next = w.resume
		w.catchUp()
	}
}
