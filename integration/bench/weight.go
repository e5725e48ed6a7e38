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

	Connections int `json:"connections"` // to etcd
}

const module = "github.com/stekring/stekring/"

// weigh weighs this process, which uses an etcd.
func weigh(endpoint string) (w weight, err error) {
	if w.Connections, err = connections(endpoint); err != nil {
		return w, err
	}
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

// connections is how many this process has to an endpoint, as Linux tells.
func connections(endpoint string) (n int, err error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return 0, err
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0, err
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	own := map[string]bool{}
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil { // that of the folder itself is closed
			own[to] = true
		}
	}
	table, err := os.ReadFile("/proc/self/net/tcp") // of all processes
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(table)) {
		const remote, state, established, inode = 2, 3, "01", 9
		f := strings.Fields(line)
		if len(f) > inode && own["socket:["+f[inode]+"]"] && f[state] == established &&
			strings.HasSuffix(f[remote], fmt.Sprintf(":%04X", port)) {
			n++
		}
	}
	return n, nil
}
