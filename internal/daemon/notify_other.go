//go:build !linux

package daemon

// monotonic is nothing where there is no systemd.
func monotonic() []string { return nil }
