//go:build race

package soak

// raced is how many times less is explored under the race detector.
const raced = 8
