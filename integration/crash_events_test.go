package integration

import (
	"context"
	"strings"
	"time"
)

// event is what befalls a host in the middle of a step, whose daemon stands still
// with the step on record and not yet done.
type event struct {
	name string
	// happen does it, and lets the daemon go on; "" or what else it could not be done for.
	happen func(d *desk, daemon string) (lacks string)
	heal   string // shell: what makes the host whole again, once the attempt has ended
	disk   string // the folder whose disk takes nothing more
	boots  bool   // the host boots anew
	bus    bool   // the bus and what stands on it come back as other processes
	dies   bool   // the daemon dies
}

const (
	runDir = "/run/mode-controller"
	libDir = "/var/lib/mode-controller"
)

// onEvents are the events of a host whose disk is an ordinary one.
var onEvents = []event{
	{name: "kill -9 of the daemon", dies: true, happen: shell("kill -9 $1")},
	{name: "kill -9 of its child", happen: childDies},
	{name: "restart of the bus", bus: true, happen: shell(`systemctl kill --signal=KILL dbus.service; kill -CONT $1`),
		heal: `until busctl status >/dev/null 2>&1; do sleep 0.05; done; systemctl restart --no-block systemd-logind.service`},
	{name: "daemon-reexec", happen: shell("systemctl daemon-reexec; kill -CONT $1")},
	{name: "reboot", boots: true, happen: func(d *desk, daemon string) string {
		d.Must(d.t, "kill", "-CONT", daemon)
		d.must(d.Reboot(patiently(d)))
		return ""
	}},
	{name: "loss of power", boots: true, happen: func(d *desk, _ string) string {
		d.must(d.Crash(patiently(d)))
		return ""
	}},
}

// smallEvents are those of a host with a small disk of its own for each folder of the
// controller's.
var smallEvents = []event{
	fills("/run", runDir), fills("/var/lib", libDir), locks("/run", runDir), locks("/var/lib", libDir),
}

// fills is the event that a disk is full.
func fills(name, dir string) event {
	return event{name: name + " is full", disk: dir, heal: "rm -f " + dir + "/full",
		happen: shell("! dd if=/dev/zero of=" + dir + "/full bs=1k 2>/dev/null && kill -CONT $1")}
}

// locks is the event that a disk can only be read: for the host, and for the daemon,
// to whose namespace a mount comes without that.
func locks(name, dir string) event {
	const lock = `mount --bind DIR DIR; mount -o remount,bind,ro DIR; nsenter -t $1 -m mount -o remount,bind,ro DIR
! nsenter -t $1 -m touch DIR/probe 2>/dev/null; kill -CONT $1`
	return event{name: name + " is read-only", disk: dir, heal: "umount --lazy " + dir, // who has a file of it open keeps it alive
		happen: shell(strings.ReplaceAll(lock, "DIR", dir))}
}

// small are the units of such disks.
func small() map[string]string {
	const unit = "[Unit]\nBefore=local-fs.target systemd-tmpfiles-setup.service\n" +
		"[Mount]\nWhat=tmpfs\nWhere=DIR\nType=tmpfs\nOptions=size=4m,mode=0755\n[Install]\nWantedBy=local-fs.target\n"
	return inSystem(map[string]string{
		`run-mode\x2dcontroller.mount`:     strings.ReplaceAll(unit, "DIR", runDir),
		`var-lib-mode\x2dcontroller.mount`: strings.ReplaceAll(unit, "DIR", libDir),
	})
}

// shell is an event that a script does; $1 is the daemon.
func shell(script string) func(*desk, string) string {
	return func(d *desk, daemon string) string {
		d.Must(d.t, "bash", "-ec", script, "bash", daemon)
		return ""
	}
}

// firstChild lets the daemon $1 go on, and kills the first program that it runs while
// the write-ahead record stays as it is. It prints its name.
const firstChild = `exec {never}<> <(:)
record() { mapfile -t now <` + intent + ` && echo "${now[0]}"; }
was=$(record); kill -CONT $1
while [ "$(record)" = "$was" ]; do
	for list in /proc/$1/task/*/children; do
		read -r child rest <$list
		[ -n "$child" ] && name=$(<"/proc/$child/comm") && [ "$name" != modewatch ] && kill -9 $child && echo $name && exit
	done
	read -rt 0.002 -u $never
done 2>/dev/null
exit 0`

func childDies(d *desk, daemon string) string {
	d.t.Helper()
	if d.Must(d.t, "bash", "-c", firstChild, "bash", daemon) == "" {
		return "no child runs"
	}
	return ""
}

// patiently bounds a boot on a busy machine. It ends with the test.
func patiently(d *desk) context.Context {
	ctx, cancel := context.WithTimeout(d.t.Context(), 3*time.Minute)
	d.t.Cleanup(cancel)
	return ctx
}
