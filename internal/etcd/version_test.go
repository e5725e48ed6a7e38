package etcd_test

import (
	"regexp"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/version"

	"github.com/stekring/stekring/internal/etcd"
)

func TestFlaw(t *testing.T) {
	const (
		all  = "has CVE-2026-33343, CVE-2026-33413, CVE-2026-73499; upgrade to "
		last = "has CVE-2026-73499; upgrade to "
		old  = "is out of support"
	)
	for _, tt := range []struct{ version, want string }{
		{"2.3.8", old}, {"3.3.27", old}, {"3.4.23", old}, {"3.4.99", old}, {"3.5.0-rc.1", old},
		{"3.5.0", all + "3.5.33"}, {"3.5.27", all + "3.5.33"}, {"3.5.28", last + "3.5.33"}, {"3.5.32", last + "3.5.33"},
		{"3.5.33", ""}, {"3.5.33+deb1", ""}, {"v3.5.33", ""}, {"3.5.100", ""}, {"3.5.33-rc.0", last + "3.5.33"},
		{"3.6.0-alpha.0", all + "3.6.14"}, {"3.6.8", all + "3.6.14"}, {"3.6.9", last + "3.6.14"}, {"3.6.13", last + "3.6.14"},
		{"3.6.14", ""}, {"3.7.0", last + "3.7.1"}, {"3.7.0-beta.1", last + "3.7.1"}, {"3.7.1", ""}, {"3.8.0", ""}, {"4.0.0", ""},
		{version.Version, ""}, // of the one that --dev and the demo start
		{"", "cannot be read"}, {"latest", "cannot be read"}, {"3.5", "cannot be read"}, {"3.-5.0", "cannot be read"},
		{"99999999999999999999.0.0", "cannot be read"}, {strings.Repeat("3.5.1\n", 1000), "cannot be read"},
	} {
		got := etcd.Flaw(tt.version)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("Flaw(%.40q) = %q, want %q", tt.version, got, tt.want)
		}
		if len(got) > 200 || strings.Contains(got, "\n") {
			t.Errorf("Flaw(%.40q) is %d bytes: %.300q", tt.version, len(got), got)
		}
	}
}

// TestAdviceIsSound upgrades to what an old server is advised to.
func TestAdviceIsSound(t *testing.T) {
	advised := regexp.MustCompile(`3\.[0-9]+\.[0-9]+`).FindAllString(etcd.Flaw("3.4.0"), -1)
	for _, v := range advised {
		if flaw := etcd.Flaw(v); flaw != "" {
			t.Errorf("advice is to upgrade to %s, which %s", v, flaw)
		}
	}
	if len(advised) < 3 {
		t.Errorf("advised %q, want a release of each branch", advised)
	}
}
