// Command storm makes a host busy with what modewatch listens to, and says how much
// of it there was.
//
//	storm execs DIR RATE SECONDS   begins so many execs a second of files in DIR
//	storm jobs UNIT SECONDS        starts and stops a unit as fast as systemd does
//	storm sessions UID N           opens N logind sessions; a line of input ends them
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var n []int
	for _, a := range args[min(2, len(args)):] {
		i, err := strconv.Atoi(a)
		if err != nil {
			return err
		}
		n = append(n, i)
	}
	switch {
	case len(n) == 2 && args[0] == "execs":
		return execs(args[1], n[0], time.Duration(n[1])*time.Second)
	case len(n) == 1 && args[0] == "jobs":
		return jobs(args[1], time.Duration(n[0])*time.Second)
	case len(n) == 1 && args[0] == "sessions":
		return sessions(args[1], n[0])
	}
	return errors.New("usage: storm execs DIR RATE SECONDS | storm jobs UNIT SECONDS | storm sessions UID N")
}

const (
	tick   = 10 * time.Millisecond
	names  = 1000 // of files: what one process does to one file is told once while nobody reads
	wanted = 100  // one exec in so many is of a program that matters, and runs
)

// execs begins execs of empty files, which the kernel begins, tells and refuses:
// more than a small machine could execute. It says how many.
func execs(dir string, rate int, last time.Duration) error {
	empty := filepath.Join(dir, "storm-")
	if err := os.WriteFile(empty, nil, 0o755); err != nil {
		return err
	}
	for i := range names {
		if err := os.Link(empty, empty+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	began, n := time.Now(), 0
	for ; time.Since(began) < last; n++ {
		if due := began.Add(time.Duration(n) * time.Second / time.Duration(rate)); time.Until(due) > tick {
			time.Sleep(tick)
		}
		if n%wanted == 0 {
			if err := exec.Command("dd", "if=/dev/null", "status=none").Run(); err != nil {
				return err
			}
		}
		if err := syscall.Exec(empty+strconv.Itoa(n%names), []string{"storm"}, nil); err != syscall.ENOEXEC {
			return err
		}
	}
	fmt.Println(n)
	return nil
}

const systemd = "org.freedesktop.systemd1"

// jobs starts and stops a unit, each when the other is done, and says how many jobs
// that made.
func jobs(unit string, last time.Duration) error {
	bus, err := dbus.ConnectSystemBus(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return err
	}
	defer bus.Close()
	if err := bus.AddMatchSignal(dbus.WithMatchInterface(systemd+".Manager"), dbus.WithMatchMember("JobRemoved")); err != nil {
		return err
	}
	ended := make(chan *dbus.Signal, 16)
	bus.Signal(ended)
	manager := bus.Object(systemd, "/org/freedesktop/systemd1")
	if err := manager.Call(systemd+".Manager.Subscribe", 0).Err; err != nil {
		return err
	}
	n := 0
	for began := time.Now(); time.Since(began) < last; n++ {
		var job dbus.ObjectPath
		method := []string{"StartUnit", "StopUnit"}[n%2]
		if err := manager.Call(systemd+".Manager."+method, 0, unit, "replace").Store(&job); err != nil {
			return err
		}
		for gone := dbus.ObjectPath(""); gone != job; {
			s := <-ended
			gone, _ = s.Body[1].(dbus.ObjectPath)
		}
	}
	fmt.Println(n)
	return nil
}

const login = "org.freedesktop.login1"

// sessions opens sessions of a user, each of a process of its own, says when all are
// open, and ends them.
func sessions(uid string, count int) error {
	user, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return err
	}
	bus, err := dbus.ConnectSystemBus()
	if err != nil {
		return err
	}
	defer bus.Close()
	manager := bus.Object(login, "/org/freedesktop/login1")
	var leaders []*exec.Cmd
	defer func() {
		for _, cmd := range leaders {
			_ = cmd.Process.Kill() // it may have ended with its session
			_ = cmd.Wait()
		}
	}()
	var ids []string
	for range count {
		cmd := exec.Command("sleep", "infinity")
		if err := cmd.Start(); err != nil {
			return err
		}
		leaders = append(leaders, cmd)
		type property struct {
			Name  string
			Value dbus.Variant
		}
		c := manager.Call(login+".Manager.CreateSession", 0, uint32(user), uint32(cmd.Process.Pid), "storm", "tty", "user", "", "",
			uint32(0), "", "", true, "", "elsewhere", []property{})
		if c.Err != nil {
			return c.Err
		}
		id, _ := c.Body[0].(string)
		ids = append(ids, id)
	}
	fmt.Println("up")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	for _, id := range ids {
		if err := manager.Call(login+".Manager.TerminateSession", 0, id).Err; err != nil {
			return err
		}
	}
	fmt.Println("down")
	return nil
}
