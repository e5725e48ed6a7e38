package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// weight is what a process holds.
type weight struct {
	Heap       uint64 `json:"heap"` // bytes in use after collections
	RSS        uint64 `json:"rss"`  // bytes
	Goroutines int    `json:"goroutines"`
	Named      int    `json:"named"` // of them, goroutines with a frame of stekring on their stack
	Mallocs    uint64 `json:"mallocs"`
	// Stacks of the goroutines, if the environment asks for them.
	Stacks string `json:"stacks,omitempty"`
}

const module = "github.com/stekring/stekring/"

func weigh() (w weight, err error) {
	stacks := stacks()
	w.Goroutines = len(stacks)
	for _, s := range stacks {
		for line := range bytes.Lines(s) {
			if bytes.HasPrefix(line, []byte(module)) {
				w.Named++
				break
			}
		}
	}
	if os.Getenv("STEKRING_BENCH_STACKS") != "" {
		w.Stacks = string(bytes.Join(stacks, []byte("\n\n")))
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what has a finalizer, or was in a pool, goes with the second
	runtime.ReadMemStats(&m)
	w.Heap, w.Mallocs = m.HeapAlloc, m.Mallocs
	w.RSS, err = residentMemory()
	return w, err
}

// stacks returns that of each goroutine.
func stacks() [][]byte {
	for size := 1 << 16; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return bytes.Split(bytes.TrimSpace(buf[:n]), []byte("\n\n"))
		}
	}
}

// residentMemory is this process's, which Linux tells.
func residentMemory() (uint64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(statm))
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

// established is how many connections there are to an endpoint of this host, as
// Linux tells.
func established(endpoint string) (int, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return 0, err
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0, err
	}
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return 0, err
	}
	n, remote := 0, fmt.Sprintf("%04X", port)
	for line := range strings.Lines(string(table)) {
		const state = "01" // established
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[2], ":"+remote) && f[3] == state {
			n++
		}
	}
	return n, nil
}
