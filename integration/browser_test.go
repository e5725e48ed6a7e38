package integration

import (
	"slices"
	"testing"
)

// TestBrowserResumes has a browser load a page at one node after the other.
func TestBrowserResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	t.Parallel()
	f := newStreet(t)
	var browsers []*stranger
	for _, minor := range []int{2, 3} {
		s := &stranger{name: "Chromium", minor: minor, command: []string{"node", "chromium.js"},
			version: []string{"sh", "-c", "node --version && chromium --version"}}
		if s.start(t, f); s.in == nil { // it is large: not every CI has it
			t.Skip("chromium or node is not installed: nothing is known of browsers; apt-get install chromium nodejs")
		}
		browsers = append(browsers, s)
	}
	var want []string
	a, b, c := f.nodes[0], f.nodes[1], f.nodes[2]
	w := walk{{a, b, c}, {a}, {b}, {c, a}}
	for i, leg := range w {
		if i > 0 {
			f.turns()[i-1]()
		}
		for j, p := range leg {
			resumed := w.resumed(i, j)
			want = append(want, map[bool]string{true: "Reused", false: "New"}[resumed])
			for _, s := range browsers {
				if _, page := s.connect(t, p.tlsAddress(), "-", "-"); !f.now.shows(page, p.id, s.minor, resumed) {
					t.Errorf("%v at %s: %v, want resumed=%t, at %+v or later", s, p.id, page, resumed, f.now)
				}
			}
		}
	}
	for _, s := range browsers {
		_ = s.in.Close()
		var got []string
		for s.lines.Scan() {
			got = append(got, s.lines.Text())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v says of its connections %v, want %v", s, got, want)
		}
	}
}
