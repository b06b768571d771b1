//go:build !race

package soak

const raced = 1
