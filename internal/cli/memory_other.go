//go:build !unix

package cli

import (
	"fmt"
	"runtime"
)

// keepMemory says that this is for the system's owner to see to.
func keepMemory() error {
	return fmt.Errorf("%s has no limit of core files for a process: switch them off for the system", runtime.GOOS)
}
