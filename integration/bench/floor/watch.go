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
// when it had done so. It says "ready" first.
func watch(name string, out io.Writer) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot watch: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(name), unix.IN_MODIFY); err != nil {
		return fmt.Errorf("cannot watch %s: %w", filepath.Dir(name), err)
	}
	fmt.Fprintln(out, "ready")
	events := make([]byte, 4096)
	for {
		if _, err := unix.Read(fd, events); err != nil {
			return fmt.Errorf("cannot wait for %s: %w", name, err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if len(text) > 0 { // else the writer has only truncated it yet
			fmt.Fprintln(out, time.Now().UnixNano())
		}
	}
}
