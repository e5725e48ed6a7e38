package page_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
)

// contrasts returns the texts whose color is too near to that behind it. What is
// see-through counts as what shows.
const contrasts = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
    const s = c[i] / 255;
    return sum + w * (s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4);
  }, 0);
  const bad = [], seen = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || ['SCRIPT', 'NOSCRIPT'].includes(e.tagName)) continue;
    seen.add(e.tagName);
    const layers = [];
    for (let p = e; p; p = p.parentElement) layers.unshift(getComputedStyle(p));
    if (layers.some((l) => l.opacity != 1)) bad.push('opacity: ' + walk.currentNode.data);
    const ground = layers.reduce((under, l) => over(parse(l.backgroundColor), under), [255, 255, 255, 1]);
    const [x, y] = [light(over(parse(getComputedStyle(e).color), ground)), light(ground)].sort((a, b) => b - a);
    const ratio = (x + 0.05) / (y + 0.05);
    if (ratio < 4.5) bad.push(ratio.toFixed(2) + ' ' + walk.currentNode.data.trim());
  }
  if (seen.size < 10) bad.push('only ' + [...seen]);
  return bad;
})()`

// TestPageIsReadable looks at it as those do who see little, or nothing, or have
// little room: when all is well and when it is not.
func TestPageIsReadable(t *testing.T) {
	s := newSite(t, rotation, "edge-1", "edge-2")
	stekring(t, "revoke", "--reason", "a test", "--yes", "--config", s.operator)
	b := open(t)
	b.visit(s.nodes[0].url())
	b.shows("revoke")
	b.live()
	look := func(when string) {
		t.Helper()
		grounds := map[string]bool{}
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			grounds[eval[string](b, "getComputedStyle(document.body).backgroundColor")] = true
			if bad := eval[[]string](b, contrasts); len(bad) > 0 {
				t.Errorf("%s, %s: too little contrast:\n%s", when, scheme, strings.Join(bad, "\n"))
			}
		}
		if len(grounds) != 2 {
			t.Errorf("light and dark are the same: %v", grounds)
		}
		for _, width := range []int64{360, 768, 1280} {
			b.size(width, 800)
			if got := eval[int64](b, "document.scrollingElement.scrollWidth"); got > width {
				t.Errorf("%s: at %d pixels the page is %d wide", when, width, got)
			}
		}
		b.tree(when)
	}
	look("well")
	s.etcd.Down()
	b.shows("TLS goes on")
	look("without etcd")
	b.clean(s.nodes[0].url())
}

// tree holds the page to what a screen reader makes of it.
func (b *tab) tree(when string) {
	b.t.Helper()
	nodes := call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes
	byID, role := map[accessibility.NodeID]*accessibility.Node{}, func(n *accessibility.Node) string { return str(n.Role) }
	for _, n := range nodes {
		byID[n.NodeID] = n
	}
	// within returns the nodes of a role below another.
	var within func(n *accessibility.Node, want string) []*accessibility.Node
	within = func(n *accessibility.Node, want string) (found []*accessibility.Node) {
		for _, id := range n.ChildIDs {
			if c := byID[id]; c != nil {
				if role(c) == want {
					found = append(found, c)
				}
				found = append(found, within(c, want)...)
			}
		}
		return found
	}
	seen, level, first := map[string]int{}, 0, true
	for _, n := range nodes {
		if n.Ignored {
			continue
		}
		seen[role(n)]++
		switch r := role(n); r {
		case "link", "button", "DisclosureTriangle", "region", "navigation", "textbox", "combobox":
			if str(n.Name) == "" {
				b.t.Errorf("%s: a %s has no name", when, r)
			}
		case "table":
			rows := within(n, "row")
			if len(rows) == 0 || len(within(n, "columnheader")) < 2 {
				b.t.Errorf("%s: a table of %d rows has %d column headers", when, len(rows), len(within(n, "columnheader")))
			}
			for _, row := range rows[1:] {
				if len(within(row, "rowheader")) != 1 {
					b.t.Errorf("%s: a row of a table has %d headers", when, len(within(row, "rowheader")))
				}
			}
		case "heading":
			was := level
			for _, p := range n.Properties {
				if p.Name == "level" {
					_, _ = fmt.Sscan(string(p.Value.Value), &level)
				}
			}
			if first && level != 1 || !first && (level == 1 || level > was+1) {
				b.t.Errorf("%s: heading %q of level %d after one of %d", when, str(n.Name), level, was)
			}
			first = false
		}
	}
	for want, least := range map[string]int{"main": 1, "banner": 1, "contentinfo": 1, "navigation": 1, "table": 3, "heading": 5, "link": 4, "status": 1, "listitem": 2} {
		if seen[want] < least {
			b.t.Errorf("%s: %d of %s, want %d: %v", when, seen[want], want, least, seen)
		}
	}
	if lang := eval[string](b, "document.documentElement.lang"); lang != "en" {
		b.t.Errorf("the language is %q", lang)
	}
	controls := eval[[]string](b, `Array.from(document.querySelectorAll('a, button, summary, [tabindex]'), (e) => {
		e.focus(); const s = getComputedStyle(e); return document.activeElement === e ? e.tagName : 'lost ' + e.outerHTML; })`)
	if slices.ContainsFunc(controls, func(c string) bool { return strings.HasPrefix(c, "lost") }) {
		b.t.Errorf("%s: not all can be reached by the keyboard: %q", when, controls)
	}
}

func str(v *accessibility.Value) (s string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &s)
	}
	return s
}
