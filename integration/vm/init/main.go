// Command init is process 1 of the virtual machine: it loads the modules, runs the
// tests one after the other on the console, and switches the machine off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func main() {
	defer func() {
		unix.Sync()
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}()
	for _, m := range [][2]string{{"proc", "proc"}, {"sysfs", "sys"}, {"devtmpfs", "dev"}, {"tmpfs", "tmp"}} {
		if err := os.MkdirAll("/"+m[1], 0o755); err != nil {
			fmt.Println("init: cannot make a directory:", err)
		}
		if err := unix.Mount(m[0], "/"+m[1], m[0], 0, ""); err != nil {
			fmt.Printf("init: cannot mount %s: %v\n", m[1], err)
		}
	}
	for _, file := range list("/modules") {
		if err := load(file); err != nil {
			fmt.Printf("init: cannot load %s: %v\n", file, err)
		}
	}
	for _, file := range list("/tests") {
		run(file)
	}
	fmt.Println("init: all was run")
}

// list returns the files of a directory, by name.
func list(dir string) []string {
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		fmt.Println("init:", err)
	}
	return files
}

func load(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

func run(file string) {
	pattern, err := os.ReadFile("/patterns/" + filepath.Base(file))
	if err != nil {
		fmt.Println("init:", err)
		return
	}
	cmd := exec.Command(file, "-test.v", "-test.run="+string(pattern), "-test.timeout=5m")
	cmd.Dir, cmd.Env = "/tmp", []string{"PATH=/", "HOME=/tmp", "TMPDIR=/tmp", "MODEWATCH_IN_VM=1"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	err = cmd.Run()
	fmt.Printf("init: %s ended: %v\n", filepath.Base(file), err)
}
