//go:build !unix

package seal

import "io/fs"

// forbidden returns the permissions that a KEK file must not give, where modes say
// nothing.
func forbidden(fs.FileInfo) fs.FileMode { return 0 }
