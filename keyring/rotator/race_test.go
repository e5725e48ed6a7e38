//go:build race

package rotator_test

// The race detector makes fake time cost ten times as much.
func init() { days, rotations = 3, 1000 }
