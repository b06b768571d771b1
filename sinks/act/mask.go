package act

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What starts sessions is held back by a mask until the next boot (D10).
//
// The mask is a link to /dev/null in /run/systemd/system.control, the first
// place but one where systemd 257 looks. The manager's own MaskUnitFiles would
// put it into /run/systemd/system, which ranks below /etc/systemd/system: a unit
// that lives there, as every unit of NixOS and every alias does, stays startable.
// No other tool masks in system.control, so that a link there is known to be
// ours, also after a restart: any other mask is left alone.
//
// A display manager is often reached by an alias, display-manager.service. Its
// real name must be masked, for a mask of the alias does not hold the real unit;
// once that is done systemd gives the alias the state "error" and not "masked",
// so that the alias is masked as well.

// maskNow masks a unit and stops it. The stop comes between the links and the
// reload: a manager that has taken the mask knows the unit's ExecStop= and
// TimeoutStopSec= no more, and one that reloads with a running unit masked under
// its alias may abort (systemd issues 38802 and 38817). Should something start the
// unit in that moment it is stopped as a masked one.
func (a *Actor) maskNow(ctx context.Context, unit string) error {
	names, err := a.names(ctx, unit)
	made := false
	if err == nil {
		made, err = a.link(ctx, names)
	}
	if err != nil {
		return fmt.Errorf("cannot mask %s: %w", unit, err)
	}
	if err := a.stopHeld(ctx, names[0]); err != nil {
		return err
	}
	if !made && a.held(ctx, names) == nil {
		return nil
	}
	if err = a.reload(ctx); err == nil {
		err = a.held(ctx, names)
	}
	if err != nil {
		return fmt.Errorf("cannot mask %s: %w", unit, err)
	}
	return a.stopHeld(ctx, names[0])
}

// stopHeld stops a unit. An inactive masked unit may be "not loaded", which is as
// good as stopped.
func (a *Actor) stopHeld(ctx context.Context, unit string) error {
	if err := a.systemJob(ctx, stopping, unit, replace); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// link makes the links for names, of which the first is the unit's real one, and
// tells whether one was missing.
func (a *Actor) link(ctx context.Context, names []string) (made bool, err error) {
	if !a.masked(names[0]) {
		if err := a.maskable(ctx, names[0]); err != nil {
			return false, err
		}
	}
	for _, name := range names {
		m, err := a.mask(name)
		if err != nil {
			return false, err
		}
		made = made || m
	}
	return made, nil
}

// held tells by a nil that the manager takes all names for masked.
func (a *Actor) held(ctx context.Context, names []string) error {
	for _, name := range names {
		load, err := a.property(ctx, name, "LoadState")
		if err != nil {
			return fmt.Errorf("cannot read its state back: %w", err)
		}
		if load != "masked" {
			return fmt.Errorf("%s is %s in spite of the mask", name, load)
		}
	}
	return nil
}

// maskable tells by a nil that a unit exists and nobody else masked it.
func (a *Actor) maskable(ctx context.Context, unit string) error {
	load, err := a.property(ctx, unit, "LoadState")
	switch {
	case err != nil:
		return fmt.Errorf("cannot read its state: %w", err)
	case load == "not-found":
		return ErrNotFound
	case load == "masked":
		return ErrForeignMask
	}
	return nil
}

// unmaskNow removes our mask and starts the unit again.
func (a *Actor) unmaskNow(ctx context.Context, unit string) error {
	names, err := a.names(ctx, unit)
	if err == nil {
		err = a.release(ctx, names)
	}
	if err != nil {
		return fmt.Errorf("cannot unmask %s: %w", unit, err)
	}
	return a.systemJob(ctx, starting, names[0], replace)
}

// release removes our masks of names. It reloads also where there was none but
// the manager takes the unit for masked or missing: a predecessor may have died
// right after the removal.
func (a *Actor) release(ctx context.Context, names []string) error {
	removed := false
	for _, name := range names {
		if !a.masked(name) {
			continue
		}
		if err := os.Remove(filepath.Join(a.control, name)); err != nil {
			return err
		}
		removed = true
	}
	if !removed && a.maskable(ctx, names[0]) == nil {
		return nil
	}
	if err := a.reload(ctx); err != nil {
		return err
	}
	return a.maskable(ctx, names[0])
}

// masked tells whether there is a mask of ours for a name.
func (a *Actor) masked(name string) bool {
	target, err := os.Readlink(filepath.Join(a.control, name))
	return err == nil && target == os.DevNull
}

// mask makes the link, and tells whether it was not there before.
func (a *Actor) mask(name string) (made bool, err error) {
	if filepath.Base(name) != name {
		return false, fmt.Errorf("%q is not a unit name", name)
	}
	if err := os.MkdirAll(a.control, 0o755); err != nil {
		return false, err
	}
	err = os.Symlink(os.DevNull, filepath.Join(a.control, name))
	if errors.Is(err, fs.ErrExist) && a.masked(name) {
		return false, nil
	}
	return err == nil, err
}

func (a *Actor) reload(ctx context.Context) error {
	m, err := a.manager(ctx)
	if err == nil {
		err = m.ReloadContext(ctx)
	}
	if err != nil {
		return fmt.Errorf("cannot reload the manager: %w", err)
	}
	return nil
}
