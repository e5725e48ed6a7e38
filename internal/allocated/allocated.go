// Package allocated measures what a call allocates, for tests of bad input.
package allocated

import "runtime"

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
