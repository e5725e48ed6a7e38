package status

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html status.css status.js status.svg
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"count": count}).ParseFS(files, "page.html"))

const (
	maxStreams = 32
	heartbeat  = 15 * time.Second
	writing    = 10 * time.Second // of one frame
)

// policy allows what the page is made of, and nothing of anybody else's.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Register serves the page, its stream and its parts.
func (p *Page) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET /events", p.events)
	for name, kind := range map[string]string{
		"status.css": "text/css; charset=utf-8", "status.js": "text/javascript; charset=utf-8", "status.svg": "image/svg+xml",
	} {
		content, err := files.ReadFile(name)
		if err != nil {
			panic(err) // only if it is not among those that are embedded
		}
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			guard(w, kind)
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("ETag", `"`+assets+`"`)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
		})
	}
}

// assets tells one build's parts from another's.
var assets = func() string {
	h := sha256.New()
	for _, name := range []string{"page.html", "status.css", "status.js", "status.svg"} {
		b, _ := files.ReadFile(name)
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}()

func guard(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// page answers with all there is, so that nobody needs the stream.
func (p *Page) page(w http.ResponseWriter, r *http.Request) {
	p.fresh(r.Context())
	var b bytes.Buffer
	render(&b, "page", p.now(), time.Now())
	guard(w, "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func render(b *bytes.Buffer, name string, v view, now time.Time) {
	if err := templates.ExecuteTemplate(b, name, page{view: v, Now: stamp(now), Assets: assets}); err != nil {
		panic(err) // only for a template that does not fit the view
	}
}

// frame is the changing part of the page as the end of an event. Each event
// begins with the time of its sending, as a frame may wait long for who comes.
func frame(v view, now time.Time) []byte {
	var b bytes.Buffer
	render(&b, "main", v, now)
	lines := bytes.ReplaceAll(bytes.TrimSpace(b.Bytes()), []byte("\n"), []byte("\ndata: "))
	return append(append([]byte("data: "), lines...), "\n\n"...)
}

// events sends a frame whenever there is something else to show.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	guard(w, "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	if !p.enter() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "stopping, or enough people look already: at most 32 streams", http.StatusServiceUnavailable)
		return
	}
	defer p.leave()
	c := http.NewResponseController(w)
	send := func(b []byte) bool {
		_ = c.SetWriteDeadline(time.Now().Add(writing))
		_, err := w.Write(b)
		return err == nil && c.Flush() == nil
	}
	p.fresh(r.Context())
	p.refresh()
	var last []byte
	idle := time.NewTicker(heartbeat)
	defer idle.Stop()
	for ok := send([]byte("retry: 1000\n\n")); ok; {
		p.mu.Lock()
		next, turned := p.frame, p.turned
		p.mu.Unlock()
		if !bytes.Equal(next, last) {
			last = next
			ok = send(fmt.Appendf(nil, "data: %d\n%s", time.Now().UnixMilli(), next))
			idle.Reset(heartbeat)
			continue
		}
		select {
		case <-turned:
		case <-idle.C:
			ok = send([]byte(":\n\n"))
		case <-r.Context().Done():
			return
		case <-p.ended:
			return
		}
	}
}

// enter takes one of the places for streams.
func (p *Page) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.streams == maxStreams {
		return false
	}
	p.streams++
	p.serving.Add(1)
	signal(p.wanted)
	return true
}

func (p *Page) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams--
	p.serving.Done()
}
