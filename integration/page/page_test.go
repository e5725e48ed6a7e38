package page_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
)

const (
	rotation = "{interval: 6s, ticket_lifetime: 1m}"
	next     = "document.querySelector('.facts time[data-run=due]').textContent"
)

// TestPageLives follows one page through all that may happen to its fleet. It is
// loaded once.
func TestPageLives(t *testing.T) {
	s := newSite(t, rotation, "edge-1", "edge-2", "edge-3")
	leader, node := s.leader()
	b := open(t)
	b.visit(node.url())
	b.shows("all well")
	b.live()
	eval[bool](b, "window.marker = true")
	eval[bool](b, "document.querySelector('#nodes + div').focus(), document.activeElement.tabIndex == 0")

	before := eval[string](b, next)
	eventually(t, "the countdown runs", func() bool { return eval[string](b, next) != before })

	v := node.status().Info.Version
	stekring(t, "rotate", "--config", s.operator)
	eventually(t, "a rotation appears", func() bool { return version(b) > v })

	leader.end(syscall.SIGKILL)
	eventually(t, "a change of leader appears", func() bool {
		return !strings.Contains(fact(b, "Leader"), leader.id) && strings.Contains(fact(b, "Leader"), "edge-")
	})
	b.shows(leader.id + " went")
	eventually(t, "it is said aloud", func() bool {
		said := eval[string](b, "document.getElementById('said').textContent")
		return strings.Contains(said, " leads") || strings.Contains(said, "version ")
	})
	if n := b.asked("/events"); n != 1 {
		t.Errorf("%d streams until now, want one", n)
	}
	b.clean(node.url())

	s.etcd.Down()
	b.shows("TLS goes on: this node seals and opens with the ring it has.")
	b.shows("As they were")
	s.etcd.Up()
	eventually(t, "the outage is over", func() bool { return !strings.Contains(b.text(), "TLS goes on") })

	node.end(syscall.SIGTERM)
	b.shows("no connection to this node")
	s.nodes = []*process{s.start(node.id, node.address)}
	b.live()
	b.shows("this node has the ring")
	if !eval[bool](b, "window.marker === true") {
		t.Error("the page was loaded again")
	}
	if !eval[bool](b, "document.activeElement === document.querySelector('#nodes + div')") {
		t.Error("the focus was lost")
	}
	b.clean(node.url(), "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "503")
}

// version is that of the ring on the page.
func version(b *tab) (v uint64) {
	_, _ = fmt.Sscanf(fact(b, "Ring"), "version %d", &v)
	return v
}

// fact is one of those at the top of the page.
func fact(b *tab, name string) string {
	return eval[string](b, fmt.Sprintf("Array.from(document.querySelectorAll('.facts div')).find((d) => d.querySelector('dt').textContent == '%s').querySelector('dd').innerText", name))
}

// TestPageWithoutScript has the browser run none.
func TestPageWithoutScript(t *testing.T) {
	s := newSite(t, rotation, "edge-1")
	b := open(t)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(s.nodes[0].url())
	for _, want := range []string{"all well", "edge-1", "staged", "active", "Next rotation\nin ", "reloaded every 5 seconds"} {
		if got := b.text(); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	loads := b.asked("/")
	eventually(t, "it is loaded again", func() bool { return b.asked("/") > loads })
	if n := b.asked("/events"); n != 0 {
		t.Errorf("%d streams", n)
	}
	b.clean(s.nodes[0].url())
}

// TestPageKeepsItsOwnTime has a browser whose clock is a day off.
func TestPageKeepsItsOwnTime(t *testing.T) {
	s := newSite(t, rotation, "edge-1")
	b := open(t)
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: fmt.Sprintf("const real = Date.now; Date.now = () => real() + %d;", (24 * time.Hour).Milliseconds()),
	})
	b.visit(s.nodes[0].url())
	b.live()
	time.Sleep(2 * time.Second) // for the page's own ticks
	if got := eval[string](b, next); strings.Contains(got, "h") || !strings.HasSuffix(got, "s") && !strings.HasSuffix(got, "overdue") {
		t.Errorf("the next rotation is %s", got)
	}
}
