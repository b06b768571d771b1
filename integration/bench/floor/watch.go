package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// watch waits for the kernel's word that the file was written, reads it, and says
// when it had done so, once for each word that is not that of before. It says
// "ready" first.
func watch(name string, out io.Writer) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot watch: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(name), unix.IN_MODIFY); err != nil {
		return fmt.Errorf("cannot watch %s: %w", filepath.Dir(name), err)
	}
	fmt.Fprintln(out, "ready")
	events, last := make([]byte, 4096), ""
	for {
		if _, err := unix.Read(fd, events); err != nil {
			return fmt.Errorf("cannot wait for %s: %w", name, err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		now := time.Now()
		if word := string(text); word != "" && word != last { // else it was only truncated, or told twice
			fmt.Fprintln(out, now.UnixNano())
			last = word
		}
	}
}
