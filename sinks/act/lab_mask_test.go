package act

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

const managerUnit = "[Service]\nType=exec\nExecStart=/bin/sleep 600\nRestart=always\nRestartSec=0\n"

// standInManager installs a display manager into a directory of the unit path,
// with the alias a package would make, and starts it.
func standInManager(t testing.TB, dir string) {
	t.Helper()
	file := filepath.Join(dir, "t-dm.service")
	alias := "/etc/systemd/system/display-manager.service"
	if err := os.Symlink(file, alias); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sh(t, "rm -f %s; systemctl daemon-reload", alias) })
	addUnits(t, map[string]string{file: managerUnit})
	sh(t, "systemctl start display-manager.service")
}

func wantNoMask(t *testing.T, a *Actor, names ...string) {
	t.Helper()
	for _, name := range names {
		if a.masked(name) {
			t.Errorf("a mask of %s is left", name)
		}
	}
}

func TestLabMaskHoldsADisplayManager(t *testing.T) {
	for _, dir := range []string{"/usr/lib/systemd/system", "/etc/systemd/system", "/run/systemd/system"} {
		for _, name := range []string{"display-manager.service", "t-dm.service"} {
			t.Run(dir+"/"+name, func(t *testing.T) {
				a, _ := newActor(t, testPolicy)
				standInManager(t, dir)
				for range 2 {
					if err := do(t, a, fsm.MaskNow, name); err != nil {
						t.Fatal(err)
					}
					wantState(t, name, "masked", "inactive")
					wantState(t, "t-dm.service", "masked", "inactive")
				}
				for _, by := range []string{"display-manager.service", "t-dm.service"} {
					if out, err := try("systemctl start %s", by); err == nil {
						t.Errorf("%s can be started: %s", by, out)
					}
				}
				for range 2 {
					if err := do(t, a, fsm.UnmaskNow, name); err != nil {
						t.Fatal(err)
					}
					wantState(t, "t-dm.service", "loaded", "active")
					wantState(t, "display-manager.service", "loaded", "active")
				}
				wantNoMask(t, a, "display-manager.service", "t-dm.service")
			})
		}
	}
}

// A policy that names both the alias and the unit masks and unmasks twice.
func TestLabMaskByBothNames(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	standInManager(t, "/usr/lib/systemd/system")
	for _, order := range [][]string{{"t-dm.service", "display-manager.service"}, {"display-manager.service", "t-dm.service"}} {
		for _, name := range order {
			if err := do(t, a, fsm.MaskNow, name); err != nil {
				t.Fatal(err)
			}
			wantState(t, name, "masked", "inactive")
		}
		for _, name := range order {
			if err := do(t, a, fsm.UnmaskNow, name); err != nil {
				t.Fatal(err)
			}
		}
		wantNoMask(t, a, order...)
		wantState(t, "display-manager.service", "loaded", "active")
	}
}

func TestLabMaskOfAnInstance(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, map[string]string{"/usr/lib/systemd/system/t-getty@.service": managerUnit})
	alias := "/usr/lib/systemd/system/t-auto@.service"
	if err := os.Symlink("t-getty@.service", alias); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sh(t, "systemctl stop 't-getty@*.service'; rm %s; systemctl daemon-reload", alias) })
	sh(t, "systemctl daemon-reload; systemctl start t-auto@one.service t-getty@two.service")
	if err := do(t, a, fsm.MaskNow, "t-auto@one.service"); err != nil {
		t.Fatal(err)
	}
	wantState(t, "t-getty@one.service", "masked", "inactive")
	wantState(t, "t-auto@one.service", "masked", "inactive")
	wantState(t, "t-getty@two.service", "loaded", "active")
	if err := do(t, a, fsm.UnmaskNow, "t-auto@one.service"); err != nil {
		t.Fatal(err)
	}
	wantState(t, "t-getty@one.service", "loaded", "active")
	wantNoMask(t, a, "t-getty@one.service", "t-auto@one.service")
}

// What a controller left that was killed between two calls is finished.
func TestLabMaskAfterHalfAMask(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	standInManager(t, "/etc/systemd/system")
	if _, err := a.mask("t-dm.service"); err != nil {
		t.Fatal(err)
	}
	if err := do(t, a, fsm.MaskNow, "t-dm.service"); err != nil {
		t.Fatal(err)
	}
	wantState(t, "t-dm.service", "masked", "inactive")
	if err := os.Remove(filepath.Join(a.control, "t-dm.service")); err != nil {
		t.Fatal(err)
	}
	if load := show(t, "t-dm.service", "LoadState"); load == "loaded" {
		t.Fatal("the manager knows of the removal: the test tests nothing")
	}
	if err := do(t, a, fsm.UnmaskNow, "t-dm.service"); err != nil {
		t.Fatal(err)
	}
	wantState(t, "t-dm.service", "loaded", "active")
}

func TestLabForeignMaskIsLeftAlone(t *testing.T) {
	for _, mask := range []string{"/etc/systemd/system/t-dm.service", "/run/systemd/system/t-dm.service"} {
		t.Run(mask, func(t *testing.T) {
			a, _ := newActor(t, testPolicy)
			standInManager(t, "/usr/lib/systemd/system")
			// Masked while it runs, systemd 257 itself may abort in a reload that follows.
			sh(t, "systemctl stop t-dm.service")
			if err := os.Symlink("/dev/null", mask); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { sh(t, "rm -f %s; systemctl daemon-reload", mask) })
			sh(t, "systemctl daemon-reload")
			for _, verb := range []fsm.Verb{fsm.MaskNow, fsm.UnmaskNow} {
				for _, name := range []string{"t-dm.service", "display-manager.service"} {
					if err := do(t, a, verb, name); !errors.Is(err, ErrForeignMask) {
						t.Errorf("%s of a unit that somebody masked: %v", verb, err)
					}
				}
			}
			wantState(t, "t-dm.service", "masked", "inactive")
			if target, err := os.Readlink(mask); target != "/dev/null" {
				t.Errorf("the mask became %q, %v", target, err)
			}
			wantNoMask(t, a, "t-dm.service", "display-manager.service")
		})
	}
}

func TestLabMaskOfAMissingUnit(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	for _, verb := range []fsm.Verb{fsm.MaskNow, fsm.UnmaskNow} {
		if err := do(t, a, verb, "t-missing.service"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s of a missing unit: %v", verb, err)
		}
	}
	wantNoMask(t, a, "t-missing.service")
}

// Why we do not leave masks to the manager: its own, of the alias or of a unit in
// /etc, hold nothing.
func TestLabManagersOwnMaskHoldsNothing(t *testing.T) {
	for dir, name := range map[string]string{
		"/usr/lib/systemd/system": "display-manager.service",
		"/etc/systemd/system":     "t-dm.service",
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := newActor(t, testPolicy)
			standInManager(t, dir)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			m, err := a.manager(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.MaskUnitFilesContext(ctx, []string{name}, true, true); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { sh(t, "rm -f /run/systemd/system/%s; systemctl daemon-reload", name) })
			sh(t, "systemctl daemon-reload")
			wantState(t, "t-dm.service", "loaded", "active")
			wantState(t, name, "loaded", "active")
		})
	}
}

// The unit is stopped as its own file says, which a masked unit forgets.
func TestLabMaskStopsByTheUnitsOwnWord(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	mark := filepath.Join(t.TempDir(), "stopped")
	addUnits(t, map[string]string{"/etc/systemd/system/t-own.service": managerUnit + "ExecStop=/bin/touch " + mark + "\n"})
	sh(t, "systemctl start t-own.service")
	if err := do(t, a, fsm.MaskNow, "t-own.service"); err != nil {
		t.Fatal(err)
	}
	wantState(t, "t-own.service", "masked", "inactive")
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("its ExecStop= was not run: %v", err)
	}
	if err := do(t, a, fsm.UnmaskNow, "t-own.service"); err != nil {
		t.Fatal(err)
	}
	sh(t, "systemctl stop t-own.service")
}
