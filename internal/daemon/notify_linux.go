package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// monotonic is the instant by which Type=notify-reload tells a reload from the
// one before.
func monotonic() []string {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return nil
	}
	return []string{fmt.Sprintf("MONOTONIC_USEC=%d", ts.Nano()/1000)}
}
