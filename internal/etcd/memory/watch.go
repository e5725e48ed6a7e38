package memory

import (
	"bytes"
	"context"
	"errors"
	"reflect"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// watcher is a client's clientv3.Watcher.
type watcher struct{ *conn }

// watch is one watch. All but its channels is guarded by the server's lock.
type watch struct {
	*conn
	key, end    []byte
	put, del    bool // what it wants to hear of
	prev        bool
	next        int64 // it has heard of all before this revision
	resume      int64 // where clientv3 would ask it to go on after an outage
	failed      bool  // nothing follows what is in buf
	buf         []clientv3.WatchResponse
	wake        chan struct{} // has room for one
	responses   chan clientv3.WatchResponse
	wantCreated bool
}

// flag reads an option of a watch, which an Op tells nobody but clientv3. It
// panics if clientv3 has renamed it.
func flag(op clientv3.Op, name string) bool { return reflect.ValueOf(op).FieldByName(name).Bool() }

// Watch blocks, like clientv3's, until the server knows of the watch.
func (c watcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	op := clientv3.OpWatch(key, opts...)
	for _, name := range []string{"progressNotify", "fragment", "watchBufLogEnabled"} {
		if flag(op, name) {
			panic("memory: Watch with " + name + " is not supported")
		}
	}
	w := &watch{
		conn: c.conn, key: bytes.Clone(op.KeyBytes()), end: bytes.Clone(op.RangeBytes()),
		put: !flag(op, "filterPut"), del: !flag(op, "filterDelete"), prev: op.IsPrevKV(),
		next: op.Rev(), resume: op.Rev(), wantCreated: flag(op, "createdNotify"),
		wake: make(chan struct{}, 1), responses: make(chan clientv3.WatchResponse, 1),
	}
	if len(w.key) == 0 {
		w.key = []byte{0}
	}
	if len(w.end) > 0 && !bytes.Equal(w.end, []byte{0}) && bytes.Compare(w.key, w.end) >= 0 {
		panic("memory: a watch of a range that ends before it begins")
	}
	err := c.call(ctx, func() error {
		w.begin()
		c.wg.Go(func() { w.run(ctx) })
		return nil
	})
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, errClosed) {
			w.responses <- canceled(1, err)
		}
		close(w.responses)
	}
	return w.responses
}

func (c watcher) RequestProgress(context.Context) error {
	panic("memory: RequestProgress is not supported")
}

func canceled(rev int64, err error) clientv3.WatchResponse {
	return clientv3.WatchResponse{Header: header(rev), Canceled: true, CancelReason: err.Error()}
}

// begin makes the watch known.
func (w *watch) begin() {
	if w.next == 0 {
		// clientv3 resumes such a watch one revision earlier than it began.
		w.next, w.resume = w.e.rev+1, w.e.rev
	}
	if w.wantCreated {
		w.push(clientv3.WatchResponse{Header: header(w.e.rev), Created: true})
	}
	w.e.watches[w] = struct{}{}
	w.catchUp()
}

// catchUp tells the watch what it has missed.
func (w *watch) catchUp() {
	if w.next < w.e.compacted {
		w.fail(clientv3.WatchResponse{Header: header(w.e.rev), Canceled: true, CompactRevision: w.e.compacted})
		return
	}
	w.feed(w.e.since(w.next))
}

// feed tells the watch of those events that are for it, in one response.
func (w *watch) feed(events []*mvccpb.Event) {
	r := clientv3.WatchResponse{Header: header(w.e.rev)}
	for _, ev := range events {
		isPut := ev.Type == mvccpb.Event_PUT
		if ev.Kv.ModRevision < w.next || isPut && !w.put || !isPut && !w.del || !within(ev.Kv.Key, w.key, w.end) {
			continue
		}
		own := &mvccpb.Event{Type: ev.Type, Kv: copyOf(ev.Kv)}
		if w.prev && ev.Kv.ModRevision > w.e.compacted {
			own.PrevKv = copyOf(ev.PrevKv)
		}
		r.Events = append(r.Events, own)
	}
	if n := len(r.Events); n > 0 {
		w.next = r.Events[n-1].Kv.ModRevision + 1
		w.resume = w.next
		w.push(r)
	}
}

// fail ends the watch with r.
func (w *watch) fail(r clientv3.WatchResponse) {
	w.failed = true
	delete(w.e.watches, w)
	w.push(r)
}

func (w *watch) push(r clientv3.WatchResponse) {
	w.buf = append(w.buf, r)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run hands the responses out until the watch, its context or its client ends.
func (w *watch) run(ctx context.Context) {
	defer close(w.responses)
	defer func() {
		w.e.mu.Lock()
		defer w.e.mu.Unlock()
		delete(w.e.watches, w)
	}()
	for {
		w.e.mu.Lock()
		buf, failed := w.buf, w.failed
		w.buf = nil
		w.e.mu.Unlock()
		for _, r := range buf {
			select {
			case w.responses <- r:
			case <-ctx.Done():
				return
			case <-w.ctx.Done():
				return
			}
		}
		if failed {
			return
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		case <-w.ctx.Done():
			return
		}
	}
}
