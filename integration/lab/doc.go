// Package lab boots real Debian systems for the integration tests: systemd as PID 1
// with logind, dbus, polkit, journald, sshd, PipeWire and sway, each in a
// systemd-nspawn container with a throw-away disk and a private network, running
// about a second after the call. It is imported by tests and by labctl only.
//
// # Use
//
//	func TestWish(t *testing.T) {
//		t.Parallel()
//		m := lab.Boot(t, lab.Options{
//			Install: []string{destdir},                      // what make install DESTDIR= made
//			Files:   map[string]string{"/etc/modewatch/config.toml": "..."},
//			Enable:  []string{"modewatch.service"},          // systemctl enable, before the boot
//		})
//		ctx := t.Context()
//		m.StartSway(ctx, "alice", lab.Sway{})                // a wayland session that holds /dev/dri/card0
//		m.Must(t, "systemctl", "start", "modewatch.service") // fails the test if the command fails
//		r, err := m.Run(ctx, "modewatch", "state", "--json") // r.Code, r.Stdout, r.Stderr
//		r, err = m.RunAs(ctx, "bob", "sh", "-c", "echo compute >/run/mode-controller/desired")
//		err = lab.WaitFor(ctx, "compute", func() bool {
//			return m.Show(ctx, "compute.target", "ActiveState")["ActiveState"] == "active"
//		})
//		entries, err := m.Journal(ctx, "-u", "modewatch.service")
//	}
//
// [Boot] skips the test (with a reason that begins with SKIP-REASON:) where the
// machine cannot run a lab, fails it where the boot fails, and ends the container
// with the test. On a failed test the end of the journal is logged.
//
// In the root: user alice (1000), user bob (1001, in group modewatch), both without
// password; ssh between root, alice and bob over the loopback works without one.
// Nothing but lo is on the network. The journal is kept in /var, so it, and all
// else on the disk, is still there after [Machine.Reboot] and [Machine.Crash].
//
// # What keeps a failed run clean
//
// Each machine has a keeper, a small shell process in a mount namespace and session
// of its own, which holds the machine's only mounts and reads from a pipe that only
// the owner holds open. When the owner closes the pipe or dies (panic, Ctrl-C,
// SIGKILL), the keeper kills the machine's cgroup and removes what is left. Should
// the keeper be killed too, its mounts vanish with it and the next Boot of any
// process sweeps up the cgroups and the directory, which bear the owner's pid.
//
// # What the host must offer
//
// Root, systemd-nspawn (systemd-container), nsenter, mmdebstrap with the Debian
// archive keys, and a writable cgroup v2 tree: mounted beside v1 hierarchies, or, as
// on most hosts, alone at /sys/fs/cgroup. There the machines' cgroups are made
// directly under the root of the tree, which systemd leaves alone.
//
// Environment: MODEWATCH_LAB=require makes a lacking precondition a failure rather
// than a skip, MODEWATCH_LAB=off skips all; MODEWATCH_LAB_CACHE is the directory of
// the root (/var/cache/modewatch-lab); MODEWATCH_LAB_LOGS a directory that receives
// the whole journal of each failed test.
package lab
