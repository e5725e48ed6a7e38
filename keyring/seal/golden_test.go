package seal

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden record anew")

// TestGolden opens for ever what format 1 sealed: the header, the derivation of
// the sealing key and the additional data are all part of the format.
func TestGolden(t *testing.T) {
	const file = "testdata/sealed-v1.bin"
	k, r := testKEK(t, 0), testRing(t)
	if *update {
		if err := os.WriteFile(file, sealed(t, k, r), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rec, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mustOpen(t, "golden", k, rec, r)
	mustRefuse(t, "golden elsewhere", k, path+"s", rec, ErrForged)
}
