package integration

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stekring/stekring"

// arrows is what each package may import of this module, and whether it may
// import anything beyond that and the standard library.
var arrows = map[string]struct {
	may    string
	others bool
}{
	"":                       {"internal/cli", false},
	"keyring":                {"", false},
	"keyring/seal":           {"keyring", false},
	"keyring/rotator":        {"election keyring keyring/seal internal/fleet internal/jitter", true},
	"election":               {"internal/jitter", true},
	"tlsbind":                {"internal/resume keyring", false},
	"tlsbind/metrics":        {"keyring/rotator tlsbind", true},
	"config":                 {"keyring keyring/seal", true},
	"internal/allocated":     {"", false},
	"internal/canary":        {"", false},
	"internal/fleet":         {"keyring", true},
	"internal/etcd":          {"", true},
	"internal/etcd/etcdtest": {"internal/devcert internal/etcd", true},
	"internal/etcd/memory":   {"", true},
	"internal/devcert":       {"", false},
	"internal/jitter":        {"", false},
	"internal/progress":      {"", false},
	"internal/probe":         {"internal/resume", false},
	"internal/resume":        {"", false},
	"internal/status":        {"internal/fleet internal/jitter keyring keyring/rotator", true},
	"internal/daemon":        {"config internal/devcert internal/etcd internal/fleet internal/jitter internal/status keyring/rotator keyring/seal tlsbind tlsbind/metrics", true},
	"internal/demo":          {"config internal/daemon internal/devcert internal/etcd internal/fleet internal/progress keyring keyring/rotator keyring/seal tlsbind", true},
	"internal/cli":           {"config election internal/daemon internal/demo internal/etcd internal/fleet internal/jitter internal/probe internal/progress keyring keyring/seal", true},
	"integration":            {"", true},
	"integration/demo":       {"config internal/devcert internal/progress keyring/seal", false},
}

func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestArrowsGoOneWay(t *testing.T) {
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...") {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
		rule, known := arrows[name]
		if !known {
			t.Errorf("package %s: add it to the arrows of this test", name)
		}
		may := strings.Fields(rule.may)
		for _, imp := range fields[1:] {
			below, ours := strings.CutPrefix(imp, module+"/")
			switch first, _, _ := strings.Cut(imp, "/"); {
			case ours && !slices.Contains(may, below):
				t.Errorf("%s imports %s: may import %q", name, below, rule.may)
			case !ours && !rule.others && strings.Contains(first, "."):
				t.Errorf("%s imports %s: may import the standard library only", name, imp)
			}
		}
	}
}

// TestLinkedServerStaysLight holds back what a server would carry for nothing.
func TestLinkedServerStaysLight(t *testing.T) {
	for _, dep := range list(t, "-deps", module+"/keyring/rotator", module+"/tlsbind") {
		for _, heavy := range []string{"github.com/spf13/", "go.etcd.io/etcd/server", "github.com/prometheus/", "go.yaml.in/"} {
			if strings.HasPrefix(dep, heavy) {
				t.Errorf("a linked server would carry %s", dep)
			}
		}
	}
}
