package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sinks/bus"
	"github.com/modewatch/modewatch/sources/desired"
)

// examinedWithin bounds each question to the bus.
const examinedWithin = 5 * time.Second

// examine reads all that doctor goes by. What cannot be read says so.
func (e env) examine() examined {
	x := examined{previews: map[fsm.Mode]engine.Preview{}}
	if x.cfg, x.config = e.load(); x.config != nil {
		return x
	}
	host, done := e.host(x.cfg)
	defer done()
	for _, m := range []fsm.Mode{fsm.Desktop, fsm.Compute} {
		w := fsm.Wish{Mode: m, Reason: fsm.ByRequest, By: fsm.NoCaller, At: e.now()}
		x.previews[m] = engine.Look(context.Background(), host, x.cfg.Policy, w)
	}
	x.live, _ = filesOf(x.cfg).live()
	x.group = readGroup("/etc/group")
	x.desired = faultOf(filepath.Join(x.cfg.RunDir, "desired"), operators())
	x.pods = strayPods("/sys/fs/cgroup")
	x.database = catalogued("/usr/lib/systemd/catalog/modewatch.catalog", "/run/current-system/sw/lib/systemd/catalog/modewatch.catalog")
	var fs unix.Statfs_t
	if x.freeErr = unix.Statfs(x.cfg.LibDir, &fs); x.freeErr == nil {
		x.free = fs.Bavail * uint64(fs.Bsize)
	}
	x.askBus()
	return x
}

// askBus asks ourselves, polkit and logind.
func (x *examined) askBus() {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		x.onBus, x.polkit, x.login.err = err, err, err
		return
	}
	defer conn.Close()
	get := func(dest string, path dbus.ObjectPath, property string, out any) error {
		ctx, cancel := context.WithTimeout(context.Background(), examinedWithin)
		defer cancel()
		face, name := property[:strings.LastIndex(property, ".")], property[strings.LastIndex(property, ".")+1:]
		var v dbus.Variant
		if err := conn.Object(dest, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, face, name).Store(&v); err != nil {
			return err
		}
		return v.Store(out)
	}
	x.onBus = get(bus.Name, bus.Path, bus.Face+".Version", &x.version)
	var delay uint64
	x.login.err = get("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager.UserStopDelayUSec", &delay)
	x.login.stopDelay = time.Duration(min(delay, 1<<50)) * time.Microsecond
	x.actions, x.polkit = ourActions(conn)
	var active string
	if get(systemd, displayManager, systemd+".Unit.ActiveState", &active) == nil && active == "active" {
		_ = get(systemd, displayManager, systemd+".Unit.Names", &x.manager) // it has answered just now
	}
}

// The display manager by its alias, as systemd knows it.
const (
	systemd        = "org.freedesktop.systemd1"
	displayManager = "/org/freedesktop/systemd1/unit/display_2dmanager_2eservice"
)

// ourActions are the ids of our actions that polkit knows.
func ourActions(conn *dbus.Conn) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), examinedWithin)
	defer cancel()
	var all []struct {
		ID, Description, Message, Vendor, VendorURL, Icon string
		Any, Inactive, Active                             uint32
		Annotations                                       map[string]string
	}
	err = conn.Object("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority").
		CallWithContext(ctx, "org.freedesktop.PolicyKit1.Authority.EnumerateActions", 0, "").Store(&all)
	for _, a := range all {
		if strings.HasPrefix(a.ID, bus.Name+".") {
			ids = append(ids, a.ID)
		}
	}
	return ids, err
}

// readGroup finds the operators in a file as group(5) has it.
func readGroup(file string) (g group) {
	text, err := os.ReadFile(file)
	if err != nil {
		return g
	}
	for line := range strings.Lines(string(text)) {
		if parts := strings.Split(strings.TrimSpace(line), ":"); len(parts) == 4 && parts[0] == desired.GroupName {
			g.there = true
			g.members = strings.FieldsFunc(parts[3], func(r rune) bool { return r == ',' })
		}
	}
	return g
}

// faultOf tells what is wrong with the rights of the file desired.
func faultOf(file string, gid int) string {
	info, err := os.Lstat(file)
	if err != nil {
		return err.Error()
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return "it is not a regular file"
	case !ok || st.Uid != 0 || int(st.Gid) != gid:
		return fmt.Sprintf("it is not root's and of group %s", desired.GroupName)
	case info.Mode().Perm() != 0o664:
		return fmt.Sprintf("its mode is %o, not 664", info.Mode().Perm())
	}
	return ""
}

// strayPods finds pods of a kubelet at the root of the control groups.
func strayPods(root string) string {
	for _, name := range []string{"kubepods.slice", "kubepods"} {
		if dir := filepath.Join(root, name); isDir(dir) {
			return dir
		}
	}
	return ""
}

func isDir(dir string) bool { info, err := os.Stat(dir); return err == nil && info.IsDir() }

// catalogued tells whether one of the files is in the journal's database, as far as
// their times tell.
func catalogued(files ...string) error {
	database, err := os.Stat("/var/lib/systemd/catalog/database")
	if err != nil {
		return err
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			if info.ModTime().After(database.ModTime()) {
				return fmt.Errorf("%s is newer than the database", file)
			}
			return nil
		}
	}
	return fmt.Errorf("%s is not there", files[0])
}
