package page_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
)

var (
	screenshot = flag.Bool("screenshot", false, "write docs/status-page.png, from a fleet that has been through something")
	shots      = flag.String("shots", "", "with -screenshot, a folder for other sizes and the dark scheme")
	measure    = flag.Bool("measure", false, "measure how long a rotation takes to the page, and what looking costs etcd")
)

const pngFile = "../../docs/status-page.png"

// TestScreenshot writes the picture of the documentation.
func TestScreenshot(t *testing.T) {
	if !*screenshot {
		t.Skip("only with -screenshot")
	}
	s := newSite(t, "{interval: 10s, ticket_lifetime: 1m}", "edge-1", "edge-2", "edge-3")
	leader, other := s.leader()
	s.traffic(other)
	b := open(t)
	b.size(1120, 900)
	b.visit(other.url())
	b.live()
	eventually(t, "three rotations", func() bool { return version(b) >= 4 })
	leader.end(syscall.SIGTERM)
	b.shows(leader.id + " went")
	s.start(leader.id, leader.address)
	b.shows(leader.id + " came")
	v := version(b)
	eventually(t, "four rotations more", func() bool { return version(b) >= v+4 })
	time.Sleep(4 * time.Second) // not in the moment of one
	take := func(file, scheme string, width int64) {
		b.scheme(scheme)
		b.size(width, 600)
		b.size(width, eval[int64](b, "document.documentElement.scrollHeight"))
		write(t, file, call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data)
	}
	take(pngFile, "light", 1120)
	if *shots != "" {
		take(*shots+"/dark.png", "dark", 1120)
		take(*shots+"/narrow.png", "light", 360)
		s.etcd.Down()
		b.shows("TLS goes on")
		take(*shots+"/outage.png", "light", 1120)
		take(*shots+"/outage-dark.png", "dark", 360)
	}
}

// write writes a picture with no more colors than a palette has.
func write(t *testing.T, file string, data []byte) {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.RGBA]int{}
	box := full.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			count[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	var most []color.RGBA
	for c := range count {
		most = append(most, c)
	}
	slices.SortFunc(most, func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range most[:min(128, len(most))] {
		palette = append(palette, c)
	}
	small := image.NewPaletted(box, palette)
	draw.Draw(small, box, full, box.Min, draw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, small); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes", file, b.Len())
}

// watch notes in the page when each version first is in it.
const watch = `window.seen = {}; new MutationObserver(() => {
	const v = document.querySelectorAll('.facts dd b')[1].textContent; seen[v] ??= Date.now();
}).observe(document.body, { subtree: true, childList: true, characterData: true }); true`

// TestMeasure says what there is to say of the page in figures.
func TestMeasure(t *testing.T) {
	if !*measure {
		t.Skip("only with -measure")
	}
	s := newSite(t, "{interval: 3s, ticket_lifetime: 30s}", "edge-1", "edge-2", "edge-3")
	leader, other := s.leader()
	for name, p := range map[string]*process{"at the leader": leader, "at another": other} {
		b := open(t)
		b.visit(p.url())
		b.live()
		eval[bool](b, watch)
		var took []time.Duration
		for last := p.status().Info.Version; len(took) < 20; {
			st := p.status()
			if st.Info.Version == last {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			last = st.Info.Version
			key := fmt.Sprintf("seen['version %d']", last)
			eventually(t, "the rotation appears", func() bool { return eval[bool](b, "!!"+key) })
			took = append(took, time.UnixMilli(int64(eval[float64](b, key))).Sub(st.Info.Rotated))
		}
		slices.Sort(took)
		t.Logf("%s: from the stamp of a rotation to the page: p50 %v, max %v of %d", name, took[len(took)/2], took[len(took)-1], len(took))
	}
}
