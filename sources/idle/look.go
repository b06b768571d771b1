package idle

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	calm   = 250 * time.Millisecond // between two looks at the folder
	settle = time.Second            // in which udev has spoken about a new device
)

// entry is one device node and what became of it.
type entry struct {
	node   string  // its name in the folder, "event3"
	id     nodeID  // tells a node from its successor of the same name
	device string  // what the device calls itself
	dev    *device // nil if it is not watched
	denied bool
	failed error // why it is not watched, though it may count
	seen   time.Duration
	unsure bool // udev had not spoken, or there was no node yet
}

func (e *entry) close() {
	if e.dev != nil {
		e.dev.close()
		e.dev = nil
	}
}

// nodeID is zero for a device that has no node.
type nodeID struct{ ino, rdev uint64 }

func identify(path string) nodeID {
	info, err := os.Lstat(path)
	if err != nil {
		return nodeID{}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nodeID{}
	}
	return nodeID{st.Ino, uint64(st.Rdev)}
}

// look brings what is known in line with what is there. It is right whatever was
// missed before, so that a change need only say that there was one.
func (l *loop) look(now time.Duration) {
	l.changed, l.looked, l.lookAt = false, now, never
	nodes, err := l.nodes()
	plugged := false
	if err == nil {
		plugged = l.meet(nodes, now)
		err = l.unread()
	}
	if err != nil {
		err = fmt.Errorf("cannot watch the input devices: %w", err)
		l.wait = min(max(firstWait, 2*l.wait), mostWait)
		l.lookAt = now + l.wait
	} else {
		l.wait = 0
	}
	for _, e := range l.known {
		if e.unsure && now < e.seen+settle {
			l.lookAt = min(l.lookAt, e.seen+settle)
		}
	}
	l.publish()
	l.amiss(err, true)
	if plugged {
		l.opt.Hint()
	}
}

// nodes lists the event devices by name: those with a node, and those that only
// the kernel knows. A directory that is not there has none: a machine without
// input devices has no such directory.
func (l *loop) nodes() ([]string, error) {
	empty(l.folder.fd)
	if err := l.folder.follow(l.opt.Dev); err != nil {
		return nil, err
	}
	var out []string
	for _, dir := range []string{l.opt.Dev, l.opt.Sys} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "event") {
				out = append(out, e.Name())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// meet brings the entries in line with the nodes. A device that comes to a host
// that was looked at before is plugged in, which counts as a touch of it.
func (l *loop) meet(nodes []string, now time.Duration) (plugged bool) {
	for node, e := range l.known {
		if _, there := slices.BinarySearch(nodes, node); !there {
			e.close()
			delete(l.known, node)
		}
	}
	for _, node := range nodes {
		e := &entry{node: node, id: identify(filepath.Join(l.opt.Dev, node)), seen: now}
		old := l.known[node]
		switch {
		case old == nil:
		case old.id != e.id:
			old.close()
			old = nil
		case old.failed != nil, old.unsure && now >= old.seen+settle:
			e.dev, e.seen = old.dev, old.seen
		default:
			continue // as it was
		}
		l.known[node] = e
		l.admit(e, now)
		if came := e.dev != nil && (old == nil || old.dev == nil && old.failed == nil); came && l.met {
			l.touched(now, e.device)
			plugged = true
		}
	}
	l.met = true
	return plugged
}

// admit decides about a node, and opens its device if it counts. What udev and
// the kernel say of it is enough to leave it closed; that it counts is settled by
// what the opened device says of itself.
func (l *loop) admit(e *entry, now time.Duration) {
	t := l.traits(e.node)
	e.unsure, e.failed = !t.udev.spoken(), nil
	if t.known && !l.counts(e, t) {
		e.close()
		return
	}
	if e.dev == nil {
		dev, err := l.Watcher.open(filepath.Join(l.opt.Dev, e.node))
		if err != nil {
			l.refused(e, cmp.Or(t.name, e.node), err, now)
			return
		}
		e.dev = dev
	}
	t.name, t.caps = e.dev.name, e.dev.caps
	if !l.counts(e, t) {
		e.close()
	}
}

// refused notes why a device that may count could not be opened. One that went
// away meanwhile is no loss; one without a node may be on its way, or hidden.
func (l *loop) refused(e *entry, name string, err error, now time.Duration) {
	e.device = name
	switch {
	case e.id != nodeID{}:
		if !gone(err) {
			e.failed = err
		}
	case now < e.seen+settle:
		e.unsure = true
	default:
		e.failed = err
	}
}

// counts tells whether a person may use the device, and is not told to be left out.
func (l *loop) counts(e *entry, t traits) bool {
	e.device, e.denied = cmp.Or(t.name, e.node), false
	if classify(t.udev, t.caps) == none {
		return false
	}
	e.denied = denies(l.opt.Deny, e.device)
	return !e.denied
}

// denies matches the patterns; a name is no path, so a * stands for a / too.
func denies(patterns []string, name string) bool {
	flat := strings.NewReplacer("/", "\x00").Replace
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(flat(p), flat(name))
		return ok && err == nil // the configuration was checked for bad ones
	})
}

// lose drops a device that cannot be read any more, in most cases since it was
// unplugged. Its node is looked at again when it changes.
func (l *loop) lose(e *entry, err error, now time.Duration) {
	e.close()
	if !gone(err) {
		e.failed = err
		l.lookAt = min(l.lookAt, now+firstWait)
	}
	l.publish()
}

func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOENT)
}

// unread is the error for devices that may count and could not be opened: nobody
// knows whether they were touched.
func (l *loop) unread() error {
	var all []error
	for _, node := range slices.Sorted(maps.Keys(l.known)) {
		if e := l.known[node]; e.failed != nil {
			all = append(all, fmt.Errorf("%s (%s): %w", node, e.device, e.failed))
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return fmt.Errorf("%d cannot be read, the first is %w", len(all), all[0])
}

// publish makes known what is watched.
func (l *loop) publish() {
	devices, denied := 0, []string(nil)
	for _, e := range l.known {
		if e.dev != nil {
			devices++
		}
		if e.denied {
			denied = append(denied, e.device)
		}
	}
	slices.Sort(denied)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.Devices, l.last.Denied = devices, slices.Compact(denied)
}
