package status

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stekring/stekring/internal/canary"
	"github.com/stekring/stekring/keyring/seal"
)

// TestNobodyLooks has an hour pass, with rotations that the page notes.
func TestNobodyLooks(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		time.Sleep(time.Hour)
		if n := s.reads.Load(); n != 0 {
			t.Errorf("%d reads of etcd, and nobody looks", n)
		}
		page := s.get("/").taken()
		if n := strings.Count(page, `<b class="rotation">`); n != 5 && n != 6 {
			t.Errorf("%d rotations noted in an hour", n)
		}
		if n := s.reads.Load(); n != 1 {
			t.Errorf("%d reads for one page, want 1", n)
		}
		time.Sleep(time.Hour)
		if n := s.reads.Load(); n != 1 {
			t.Errorf("%d reads an hour after it, want no more", n)
		}
		// Who looks right after somebody else waits for nothing.
		_, leave := s.ask("/")
		defer leave()
		synctest.Wait()
		a, leave := s.ask("/events")
		defer leave()
		synctest.Wait()
		if sent, _ := frames(a.taken()); len(sent) != 1 {
			t.Errorf("%d frames at once, want 1", len(sent))
		}
	})
}

// TestManyLook is as much for etcd as one who does.
func TestManyLook(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		time.Sleep(time.Minute)
		for range 10 {
			_, leave := s.ask("/events")
			defer leave()
		}
		time.Sleep(time.Minute)
		for range 10 {
			_, leave := s.ask("/")
			defer leave()
		}
		if n := s.reads.Load(); n < 55 || n > 61 {
			t.Errorf("%d reads in a minute, want one a second", n)
		}
	})
}

// TestStreamIsQuiet has nothing sent twice, and something every so often.
func TestStreamIsQuiet(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		time.Sleep(time.Minute)
		a, leave := s.ask("/events")
		defer leave()
		time.Sleep(5 * time.Minute)
		sent, beats := frames(a.taken())
		if len(sent) != 1 || beats < 19 || beats > 20 {
			t.Errorf("%d frames and %d heartbeats in five quiet minutes, want 1 and 20", len(sent), beats)
		}
		// Who comes now gets what there is, and the time that it is.
		b, leave := s.ask("/events")
		defer leave()
		synctest.Wait()
		sent, _ = frames(b.taken())
		if len(sent) != 1 || !strings.HasPrefix(sent[0], fmt.Sprintln(time.Now().UnixMilli())) {
			t.Errorf("who comes later gets %.40q, want the time of now, %d", sent, time.Now().UnixMilli())
		}
	})
}

// TestRotationAppearsAtOnce and not at the next second.
func TestRotationAppearsAtOnce(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		time.Sleep(time.Minute + 400*time.Millisecond)
		a, leave := s.ask("/events")
		defer leave()
		for want := uint64(2); want < 5; want++ {
			have := s.node.Ring()
			for s.node.Status().Info.Version < want {
				have, _ = s.node.Await(t.Context(), have)
			}
			synctest.Wait()
			sent, _ := frames(a.taken())
			if len(sent) == 0 || !strings.Contains(sent[len(sent)-1], fmt.Sprintf("version %d</b>", want)) || !a.wrote.Equal(time.Now()) {
				t.Errorf("version %d: %d frames, the last %v ago", want, len(sent), time.Since(a.wrote))
			}
		}
	})
}

// TestFleetAppears is what only etcd tells.
func TestFleetAppears(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		time.Sleep(time.Minute)
		a, leave := s.ask("/events")
		defer leave()
		time.Sleep(time.Second)
		_, stop := s.run("edge-2")
		time.Sleep(3 * time.Second)
		if got := a.taken(); !strings.Contains(got, "edge-2 came") || !strings.Contains(got, "all have version 1") {
			t.Errorf("a node that came is not shown:\n%s", got)
		}
		stop()
		time.Sleep(3 * time.Second)
		if got := a.taken(); !strings.Contains(got, "edge-2 went") {
			t.Errorf("a node that went is not shown:\n%s", got)
		}
		s.etcd.Down()
		time.Sleep(10 * time.Second)
		got := a.taken()
		for _, want := range []string{"etcd does not answer", "TLS goes on", "Leader and other nodes are shown as they were"} {
			if !strings.Contains(got, want) {
				t.Errorf("without etcd the page does not say %q:\n%s", want, got)
			}
		}
		s.etcd.Up()
		time.Sleep(40 * time.Second)
		if sent, _ := frames(a.taken()); len(sent) == 0 || strings.Contains(sent[len(sent)-1], "TLS goes on") {
			t.Error("with etcd again the page is still without")
		}
	})
}

// TestForeignKEK is a node among others whose ring it cannot open.
func TestForeignKEK(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		time.Sleep(time.Minute)
		page := s.get("/").taken()
		for _, want := range []string{
			"This node does not know the fleet's ring: this node lacks the KEK", "<b>edge-9</b>", "its own key", `<span class="state bad">problem`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %q:\n%s", want, page)
			}
		}
	}, func(s *site) {
		s.run("edge-9")
		time.Sleep(time.Minute)
		s.kek = seal.NewKEK()
	})
}

// TestNoKeyIsShown looks for those of the ring, of the scopes and of the node.
func TestNoKeyIsShown(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		time.Sleep(25 * time.Minute)
		a, leave := s.ask("/events")
		defer leave()
		shown := s.get("/").taken() + a.taken()
		if !strings.Contains(shown, s.node.Status().Sealing) {
			t.Fatal("not even its id is there")
		}
		var secrets [][]byte
		for _, scope := range []string{"", "other"} {
			for _, k := range s.node.Ring().TicketKeys(scope) {
				secrets = append(secrets, k[:])
			}
		}
		if form := canary.Shown(shown, canary.Forms(secrets...)); form != "" || len(secrets) < 8 {
			t.Errorf("one of %d keys is shown: %s", len(secrets), form)
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		var leave func()
		for range maxStreams {
			_, leave = s.ask("/events")
			defer leave()
		}
		synctest.Wait()
		a := s.get("/events")
		if a.code != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("stream %d: %d %v", maxStreams+1, a.code, a.header)
		}
		if a := s.get("/"); a.code != http.StatusOK {
			t.Errorf("the page: %d, which needs no stream", a.code)
		}
		leave()
		b, leave := s.ask("/events")
		defer leave()
		synctest.Wait()
		if b.code != http.StatusOK {
			t.Errorf("a stream in the place of one that ended: %d", b.code)
		}
	})
}

func TestStreamsEndWithRun(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		var waits []func()
		for range 3 {
			_, leave := s.ask("/events")
			waits = append(waits, leave)
		}
		time.Sleep(time.Second)
		start := time.Now()
		s.stop() // waits for them
		if took := time.Since(start); took > 0 {
			t.Errorf("the streams ended after %v", took)
		}
		if a := s.get("/events"); a.code != http.StatusServiceUnavailable {
			t.Errorf("a stream after the end: %d", a.code)
		}
		if a := s.get("/"); a.code != http.StatusOK {
			t.Errorf("the page after the end: %d", a.code)
		}
		for _, leave := range waits {
			leave()
		}
	})
}
