package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// tools skips, or fails where all must be, without Prometheus.
func tools(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			lack(t, tool+" is missing: apt-get install prometheus to try the rules and the dashboard")
		}
	}
}

// TestAlertRules plays to promtool what each alert is for, and what it is not for.
func TestAlertRules(t *testing.T) {
	tools(t)
	played := read(t, "testdata/alerts.yml")
	for _, r := range alertRules(t) {
		if !strings.Contains(played, "      - alertname: "+r.Alert+"\n") {
			t.Errorf("nothing is played that %s is for", r.Alert)
		}
		if strings.Count(played, "{alertname: "+r.Alert+",") < 7 {
			t.Errorf("nothing is played that %s is not for yet", r.Alert)
		}
	}
	for _, args := range [][]string{{"check", "rules", "../docs/deploy/alerts.yml"}, {"test", "rules", "testdata/alerts.yml"}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// dashboard is what is looked at in docs/deploy/grafana.json.
type dashboard struct {
	Templating struct{ List []struct{ Name, Type string } }
	Panels     []struct {
		ID                       int
		Type, Title, Description string
		Datasource               struct{ UID string }
		GridPos                  struct{ W, X int }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct {
			Expr, LegendFormat string
			Datasource         struct{ UID string }
		}
	}
}

// silent are panels that show nothing while all is well.
var silent = []string{"Problems", "Alerts"}

// TestDashboard has a real Prometheus scrape two nodes, by the rules and the
// scrape configuration of the pages: every panel has something to show, no alert
// is up, and no rule is in error.
func TestDashboard(t *testing.T) {
	tools(t)
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	nodes := s.fleet("a", "b")
	dir := t.TempDir()
	rules, err := filepath.Abs("../docs/deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	page := blocks(read(t, "../docs/how-to/monitor.md"), "yml")
	if len(page) != 1 {
		t.Fatalf("monitor.md has %d configurations, want one", len(page))
	}
	targets := regexp.MustCompile(`targets: \[.*\]`).ReplaceAllString(page[0], fmt.Sprintf("targets: ['%s', '%s']", nodes[0].httpAddress(), nodes[1].httpAddress()))
	s.write(filepath.Join(dir, "prometheus.yml"), []byte("global: {scrape_interval: 1s, evaluation_interval: 1s}\n"+
		strings.ReplaceAll(targets, "alerts.yml", rules)))
	p := prometheus(t, dir)

	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "../docs/deploy/grafana.json")), &d); err != nil {
		t.Fatal(err)
	}
	d.check(t)
	v := s.visitor()
	replace := strings.NewReplacer("$ring", "www", "$__rate_interval", "20s", "$__range", "20s")
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			expr, want := replace.Replace(target.Expr), 1
			if target.LegendFormat == "{{instance}}" {
				want = len(nodes)
			}
			if slices.Contains(silent, panel.Title) {
				if found := p.count(expr); found > 0 {
					t.Errorf("panel %s shows %d series on a healthy fleet", panel.Title, found)
				}
				continue
			}
			eventually(t, fmt.Sprintf("panel %s shows %d series of %s", panel.Title, want, expr), func() bool {
				for _, n := range nodes {
					v.visit(n.tlsAddress())
				}
				return p.count(expr) >= want
			})
		}
	}
	eventually(t, "every rule has been asked, and no alert is up or on its way", func() bool {
		var groups struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError, State, LastEvaluation string }
			}
		}
		p.ask("/api/v1/rules", nil, &groups)
		asked := 0
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Fatalf("rule %s: %s", r.Name, r.LastError)
				}
				if r.Health == "ok" && r.State == "inactive" {
					asked++
				}
				if r.State == "firing" {
					t.Fatalf("%s fires on a healthy fleet", r.Name)
				}
			}
		}
		return asked == len(alertRules(t))
	})
}

// check wants what every dashboard must have that others import.
func (d dashboard) check(t *testing.T) {
	t.Helper()
	if len(d.Templating.List) != 2 || d.Templating.List[0].Type != "datasource" || d.Templating.List[1].Name != "ring" {
		t.Errorf("variables %+v, want datasource and ring", d.Templating.List)
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q at %+v", p.ID, p.Title, p.GridPos)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q lacks a description, a unit, a target or the data source of the variable", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || !strings.Contains(target.Expr, `"$ring`) {
				t.Errorf("panel %q asks %q of %q", p.Title, target.Expr, target.Datasource.UID)
			}
		}
	}
}

// scraper is a running Prometheus.
type scraper struct {
	t   *testing.T
	url string
}

// prometheus starts one by the configuration in a folder. It ends with the test.
func prometheus(t *testing.T, dir string) *scraper {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			t.Logf("%s", read(t, log.Name()))
		}
	})
	address := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	p := &scraper{t: t}
	eventually(t, "prometheus listens", func() bool {
		m := address.FindStringSubmatch(read(t, log.Name()))
		if m != nil {
			p.url = "http://" + m[1]
		}
		return m != nil
	})
	eventually(t, "prometheus is ready", func() bool {
		r, err := web.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return p
}

// ask decodes the data of an answer.
func (p *scraper) ask(path string, query url.Values, into any) {
	p.t.Helper()
	r, err := web.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	var answer struct{ Data json.RawMessage }
	if err != nil || r.StatusCode != http.StatusOK || json.Unmarshal(b, &answer) != nil || json.Unmarshal(answer.Data, into) != nil {
		p.t.Fatalf("%s %v: %d %s %v", path, query, r.StatusCode, b, err)
	}
}

// count returns how many series an expression has now that are numbers.
func (p *scraper) count(expr string) (n int) {
	p.t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	p.ask("/api/v1/query", url.Values{"query": {expr}}, &data)
	for _, r := range data.Result {
		if r.Value[1] != "NaN" {
			n++
		}
	}
	return n
}
