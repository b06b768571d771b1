package act

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// names returns the real name of a unit and, where that is not the name it was
// given, the alias. The links on disk tell: the manager itself cannot resolve an
// alias while its unit is masked.
func (a *Actor) names(ctx context.Context, unit string) ([]string, error) {
	var dirs []string
	err := a.get(ctx, systemdManager, "UnitPath", &dirs)
	if err != nil {
		return nil, fmt.Errorf("cannot read the manager's unit path: %w", err)
	}
	dirs = slices.DeleteFunc(dirs, func(d string) bool { return d == a.control })
	name, err := realName(dirs, unit)
	if err != nil {
		return nil, err
	}
	if name == unit {
		return []string{unit}, nil
	}
	return []string{name, unit}, nil
}

// aliases bounds a chain of aliases; systemd's own are one long.
const aliases = 8

// realName follows the alias links of a unit in the directories, of which the
// first that has the name counts. A name found nowhere is its own real name.
func realName(dirs []string, name string) (string, error) {
	for range aliases {
		target, err := aliasOf(dirs, name)
		if err != nil {
			return "", err
		}
		if target == name {
			return name, nil
		}
		name = target
	}
	return "", fmt.Errorf("%s is an alias of an alias without end", name)
}

// aliasOf returns the name that a unit is an alias of, itself where it is none.
// An instance may be an alias by its own link or by that of its template.
func aliasOf(dirs []string, name string) (string, error) {
	template, instance := split(name)
	for _, file := range slices.Compact([]string{name, template}) {
		for _, dir := range dirs {
			target, err := os.Readlink(filepath.Join(dir, file))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case errors.Is(err, syscall.EINVAL): // a file, no link
				return name, nil
			case err != nil:
				return "", err
			}
			base := filepath.Base(target)
			if base == file || filepath.Ext(base) != filepath.Ext(name) {
				return name, nil // a unit kept elsewhere, or a mask
			}
			return strings.Replace(base, "@.", "@"+instance+".", 1), nil
		}
	}
	return name, nil
}

// split returns the template of an instance and the instance's name: getty@.service
// and tty1 for getty@tty1.service. A name that is no instance is its own template.
func split(name string) (template, instance string) {
	prefix, rest, found := strings.Cut(name, "@")
	ext := filepath.Ext(rest)
	if !found {
		return name, ""
	}
	return prefix + "@" + ext, strings.TrimSuffix(rest, ext)
}
