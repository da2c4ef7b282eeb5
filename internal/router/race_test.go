//go:build race

package router

// raceDetector is on: sync.Pool then drops things at random, on purpose.
const raceDetector = true
