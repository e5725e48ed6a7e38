package integration

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alertRules returns the rules of docs/deploy/alerts.yml.
func alertRules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, "../docs/deploy/alerts.yml")), &file); err != nil || len(file.Groups) != 1 {
		t.Fatalf("alerts.yml: %v, %d groups, want one", err, len(file.Groups))
	}
	return file.Groups[0].Rules
}

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// TestRunbooksAreOfAlerts holds every alert to a page, and every page to an alert
// or to the list of those that are of none.
func TestRunbooksAreOfAlerts(t *testing.T) {
	index := read(t, "../docs/runbooks/README.md")
	want := []string{"README.md", "stolen-key.md", "etcd-lost.md", "kek-lost.md", "wrong-kek.md"}
	for _, r := range alertRules(t) {
		want = append(want, r.Alert+".md")
		if url := "https://github.com/" + strings.TrimPrefix(module, "github.com/") + "/blob/main/docs/runbooks/" + r.Alert + ".md"; r.Annotations["runbook_url"] != url {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], url)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q, want page or ticket", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: annotations %v, want a summary and a description", r.Alert, r.Annotations)
		}
	}
	var got []string
	files, _ := filepath.Glob("../docs/runbooks/*")
	for _, f := range files {
		name := filepath.Base(f)
		got = append(got, name)
		title, _, _ := strings.Cut(strings.TrimPrefix(read(t, f), "# "), "\n")
		if alert := strings.TrimSuffix(name, ".md"); strings.HasPrefix(name, "Stekring") && title != alert {
			t.Errorf("%s is titled %q", name, title)
		}
		if name != "README.md" && !strings.Contains(index, "("+name+")") {
			t.Errorf("README.md does not link to %s", name)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/runbooks has\n%v\nwant\n%v", got, want)
	}
	problem := read(t, "../docs/runbooks/StekringProblem.md")
	for _, cause := range causes {
		if !strings.Contains(problem, "\n## "+cause+"\n") {
			t.Errorf("StekringProblem.md has no section %s", cause)
		}
	}
}
