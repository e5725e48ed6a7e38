// Package allocated measures what a call allocates, for tests of bad input.
package allocated

import (
	"runtime"
	"testing"
)

// Most is how many bytes no bad input may make a call allocate.
const Most = 10_000_000

// By returns how many bytes the process allocated while f ran.
func By(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Check runs f on an input and fails the test if it allocates more than [Most].
func Check(t testing.TB, input []byte, f func()) {
	t.Helper()
	if n := By(f); n > Most {
		t.Errorf("%q made a call allocate %d bytes, want at most %d", input, n, Most)
	}
}
