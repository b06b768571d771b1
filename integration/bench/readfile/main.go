// Command readfile reads a file: the least that a Go program can do to tell what
// a file says, and hence the floor of modewatch state.
package main

import "os"

func main() {
	if _, err := os.ReadFile(os.Args[1]); err != nil {
		os.Exit(1)
	}
}
