package procs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// proc is one process that is no kernel thread and no zombie.
type proc struct {
	pid   int
	ppid  int
	sid   int
	comm  string
	exe   string   // file name of the executable, "" where it cannot be known
	noHup bool     // it ignores SIGHUP, as under nohup
	stuck bool     // it sleeps uninterruptibly
	nodes []string // the wanted device nodes that it has open, each once
}

// table is one pass over /proc. It is for one goroutine: the buffers are shared.
type table struct {
	root  string
	fd    int
	procs []proc
	buf   []byte
	dents []byte
	names []string
}

// wanted is what a pass looks for: holders of nodes, and names of all or only
// of the holders.
type wanted struct {
	globs []string
	names bool
}

func open(root string) (*table, error) {
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", root, err)
	}
	return &table{root: root, fd: fd, buf: make([]byte, 4096), dents: make([]byte, 16<<10)}, nil
}

func (t *table) close() { unix.Close(t.fd) }

// scan reads all processes, and which of them hold wanted nodes. Nearly all of
// its time is system calls, four a process and one an open file.
func scan(ctx context.Context, root string, want wanted) (*table, error) {
	nodes, err := compile(want.globs)
	if err != nil {
		return nil, err
	}
	t, err := open(root)
	if err != nil {
		return nil, err
	}
	if err := t.fill(ctx, nodes, want.names); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *table) fill(ctx context.Context, nodes patterns, all bool) error {
	names, err := t.list(t.fd)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", t.root, err)
	}
	if !slices.Contains(names, "1") {
		return fmt.Errorf("cannot see all processes in %s: process 1 is hidden from this user (hidepid)", t.root)
	}
	t.procs = make([]proc, 0, len(names))
	for _, name := range slices.Clone(names) {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cannot look at all processes: %w", err)
		}
		p, err := t.process(pid, name, nodes, all)
		if err != nil {
			return fmt.Errorf("cannot look into process %d: %w", pid, err)
		}
		if p.pid != 0 {
			t.procs = append(t.procs, p)
		}
	}
	return nil
}

// process reads one process, its executable if all are wanted or it holds a node.
// The zero proc stands for one that is gone meanwhile or is none that counts.
func (t *table) process(pid int, name string, nodes patterns, all bool) (proc, error) {
	data, err := t.read(name + "/stat")
	if gone(err) {
		return proc{}, nil
	}
	if err != nil {
		return proc{}, err
	}
	st, err := parseStat(data)
	if err != nil {
		return proc{}, err
	}
	if st.kernel || st.over() {
		return proc{}, nil
	}
	p := proc{pid: pid, ppid: st.ppid, sid: st.sid, stuck: st.state == 'D', comm: st.comm, noHup: st.noHup}
	if len(nodes) > 0 {
		if p.nodes, err = t.nodes(name, st, nodes); err != nil {
			return proc{}, fmt.Errorf("(%s): %w", p.comm, err)
		}
	}
	if all || len(p.nodes) > 0 {
		p.exe = t.exe(name)
	}
	return p, nil
}

// nodes lists the wanted nodes that a process has open. The open files of one
// whose first thread has ended are seen through its other threads.
func (t *table) nodes(name string, st stat, want patterns) ([]string, error) {
	dirs := []string{name + "/fd"}
	if st.dead() {
		tasks, err := t.listAt(name + "/task")
		if err != nil {
			return nil, lenient(err)
		}
		dirs = dirs[:0]
		for _, tid := range slices.Clone(tasks) {
			dirs = append(dirs, name+"/task/"+tid+"/fd")
		}
	}
	var out []string
	for _, dir := range dirs {
		var err error
		if out, err = t.links(dir, want, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// links adds to out the targets of the links in dir that are wanted.
func (t *table) links(dir string, want patterns, out []string) ([]string, error) {
	fd, err := unix.Openat(t.fd, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return out, lenient(err)
	}
	defer unix.Close(fd)
	names, err := t.list(fd)
	if err != nil {
		return out, lenient(err)
	}
	for _, name := range names {
		n, err := unix.Readlinkat(fd, name, t.buf)
		if err != nil {
			if lenient(err) != nil {
				return out, err
			}
			continue
		}
		if link := t.buf[:n]; want.could(link) {
			if node := string(link); want.match(node) && !slices.Contains(out, node) {
				out = append(out, node)
			}
		}
	}
	return out, nil
}

// exe is the file name of the executable, also after its file was replaced.
func (t *table) exe(name string) string {
	n, err := unix.Readlinkat(t.fd, name+"/exe", t.buf)
	if err != nil {
		return "" // not ours to read, or exiting: comm must do
	}
	return filepath.Base(strings.TrimSuffix(string(t.buf[:n]), " (deleted)"))
}

// read returns the content of a small file; it is valid until the next read.
func (t *table) read(name string) ([]byte, error) {
	fd, err := unix.Openat(t.fd, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, t.buf)
	if err != nil {
		return nil, err
	}
	return t.buf[:n], nil
}

func (t *table) listAt(dir string) ([]string, error) {
	fd, err := unix.Openat(t.fd, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return t.list(fd)
}

// list returns the names in an open directory, valid until the next list.
func (t *table) list(fd int) ([]string, error) {
	t.names = t.names[:0]
	for {
		n, err := unix.ReadDirent(fd, t.dents)
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			return t.names, nil
		}
		_, _, t.names = unix.ParseDirent(t.dents[:n], -1, t.names)
	}
}

func (t *table) uid(pid int) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(t.fd, strconv.Itoa(pid), &st, 0); err != nil {
		return -1, err
	}
	return int(st.Uid), nil
}

// owner is uid, or -1 for a process that is gone.
func (t *table) owner(pid int) int {
	uid, err := t.uid(pid)
	if err != nil {
		return -1
	}
	return uid
}

// gone tells whether an error means that the process has ended.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

// lenient forgives a process its end.
func lenient(err error) error {
	if gone(err) {
		return nil
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: looking at the open files of others needs root", err)
	}
	return err
}
