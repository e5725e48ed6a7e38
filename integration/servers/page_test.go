package servers_test

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what TestMatrix measures into the page")

const pageFile = "../../docs/reference/servers.md"

// tableLines are the first table of a page.
var tableLines = regexp.MustCompile(`(?m)(^\|.*\n)+`)

// holdPage compares the table of the page with what was measured, or writes it.
func holdPage(t *testing.T, all []kind, seen [][]row) {
	b, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	page, want := string(b), table(all, seen)
	at := tableLines.FindStringIndex(page)
	if at == nil {
		t.Fatalf("%s has no table", pageFile)
	}
	if got := page[at[0]:at[1]]; got == want {
		return
	} else if !*update {
		t.Errorf("the table of %s is\n%swant what was measured:\n%srun go test -run TestMatrix -update", pageFile, got, want)
		return
	}
	if err := os.WriteFile(pageFile, []byte(page[:at[0]]+want+page[at[1]:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table has a line for each kind, or two if the versions of TLS differ.
func table(all []kind, seen [][]row) string {
	var s strings.Builder
	line := func(cells ...string) { fmt.Fprintf(&s, "| %s |\n", strings.Join(cells, " | ")) }
	line("server", "TLS", "sees a swap", "resumes elsewhere after 3 rotations", "keeps h2 or h3", "refuses after revoke", "`Check`")
	s.WriteString(strings.Repeat("|---", 7) + "|\n")
	for i, k := range all {
		for rows, versions := seen[i], k.versions(); len(rows) > 0; {
			r, names := rows[0], ""
			for len(rows) > 0 && rows[0] == r {
				names += ", " + strings.TrimPrefix(tls.VersionName(versions[0]), "TLS ")
				rows, versions = rows[1:], versions[1:]
			}
			line(k.name, names[2:], r.swap, r.elsewhere, r.proto, r.revoke, r.check)
		}
	}
	return s.String()
}
