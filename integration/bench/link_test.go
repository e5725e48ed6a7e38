package main

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"testing"
	"time"
)

func TestLink(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c, err := echo.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	const delay = 50 * time.Millisecond
	l, err := newLink(echo.Addr().String(), delay)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	sent := make([]byte, 1<<20)
	_, _ = rand.Read(sent)
	began := time.Now()
	go func() { _, _ = c.Write(sent) }()
	back := make([]byte, len(sent))
	if _, err := io.ReadFull(c, back[:1]); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 2*delay { // nothing can make it faster
		t.Errorf("there and back took %v, want at least %v", took, 2*delay)
	}
	if _, err := io.ReadFull(c, back[1:]); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent, back) {
		t.Error("other bytes came back")
	}
	l.end()
	if n, err := c.Read(back); err == nil {
		t.Errorf("%d bytes came of a link that has ended", n)
	}
	<-gone
}
