package etcd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-semver/semver"
)

// holes are those of etcd's access control, with the first release of each
// branch that has one mended.
var holes = []struct {
	name  string
	fixed []string
}{
	{"CVE-2026-33343", []string{"3.5.28", "3.6.9"}},           // a nested transaction reads and writes any key
	{"CVE-2026-33413", []string{"3.5.28", "3.6.9"}},           // leases, alarms and compaction without a login
	{"CVE-2026-73499", []string{"3.5.33", "3.6.14", "3.7.1"}}, // who reads a key watches all after it
}

// floors are the releases, one of each branch, that have no known hole.
var floors = holes[len(holes)-1].fixed

// Flaw returns what is wrong with an etcd server of a version, and what to do
// about it, or "" if nothing is known to be.
func Flaw(version string) string {
	advice := "upgrade to " + strings.Join(floors, ", ") + " or later"
	v, err := semver.NewVersion(strings.TrimPrefix(version, "v"))
	switch {
	case err != nil:
		return fmt.Sprintf("its version, %.40q, cannot be read; see that it is %s or later", version, strings.Join(floors, ", "))
	case v.LessThan(*semver.New("3.5.0")):
		return "is out of support, and its holes are not mended; " + advice
	}
	var open []string
	floor := ""
	for _, h := range holes {
		i := slices.IndexFunc(h.fixed, func(f string) bool {
			fixed := semver.New(f)
			return fixed.Major == v.Major && fixed.Minor == v.Minor && v.LessThan(*fixed)
		})
		if i >= 0 {
			open, floor = append(open, h.name), h.fixed[i]
		}
	}
	if open == nil {
		return ""
	}
	return "has " + strings.Join(open, ", ") + "; upgrade to " + floor + " or later"
}
