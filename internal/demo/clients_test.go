package demo

import (
	"crypto/tls"
	"testing"
	"time"
)

// TestTicketIsAsOldAsItsConnection is one that a revoke has ended on its way to
// the client.
func TestTicketIsAsOldAsItsConnection(t *testing.T) {
	settled := time.Now()
	c := &client{began: settled.Add(-time.Millisecond)}
	c.Put("", &tls.ClientSessionState{})
	if c.issued.After(settled) {
		t.Error("a ticket counts as issued after a revoke which its handshake was before")
	}
}
