//go:build race

package tlsbind

func init() { raceDetector = true }
