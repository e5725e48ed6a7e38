package tlsbind

import (
	"crypto/sha256"
	"crypto/tls"
	"sync"
)

// maxHandBack is how many bytes of tickets a generation of handBack holds, each
// counted with what it costs to keep it.
const (
	maxHandBack  = 1 << 20
	handBackCost = 128
)

// handedBack is of all servers of the process, so that its size is bounded however
// many they are. A session is no other's, as its secret is not.
var handedBack handBack

// handBack remembers by which ticket a session of TLS 1.2 was resumed.
//
// TLS 1.2 resumes with the very secret of the first connection, and crypto/tls
// asks for a new ticket each time. Were that sealed with the key of the day, a
// client that keeps coming back would have its first secret sealed with every
// key in turn, and that a key is gone would protect nothing. So the client gets
// the ticket back that it came with, and shakes hands in full when its key has
// had its time.
//
// crypto/tls tells a hook nothing of the connection, but the session that it
// has sealed on resumption encodes as the one that was opened: everything in it
// is carried over. No network read lies between the two, so an entry is needed
// for an instant only. Yet none is removed by use, because clients resume one
// session on several connections at once. Whatever is remembered goes out by
// generations, which bounds it when sessions are opened and then not resumed; a
// session that is forgotten too soon gets no ticket.
type handBack struct {
	mu         sync.Mutex // guards the rest
	young, old map[[sha256.Size]byte]string
	size       int // of young
}

func (h *handBack) remember(session *tls.SessionState, ticket []byte) {
	id, ok := digest(session)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.young == nil || h.size > maxHandBack {
		h.young, h.old, h.size = map[[sha256.Size]byte]string{}, h.young, 0
	}
	if _, known := h.young[id]; !known {
		h.size += len(ticket) + handBackCost
	}
	h.young[id] = string(ticket)
}

// ticket returns what session was opened from, and nothing if that is unknown.
func (h *handBack) ticket(session *tls.SessionState) []byte {
	id, ok := digest(session)
	if !ok {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.young[id]
	if !ok {
		t = h.old[id]
	}
	return []byte(t)
}

// digest names a session without keeping its secret.
func digest(session *tls.SessionState) (id [sha256.Size]byte, ok bool) {
	b, err := session.Bytes()
	return sha256.Sum256(b), err == nil
}
