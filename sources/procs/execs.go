package procs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// execs tells of programs that are executed, by fanotify on the folders they are
// in. A mark on a folder survives that the file in it is replaced, which one on
// the file would not. The kernel tells the file's name and opens nothing for it;
// that form needs no capability, but the process is told to CAP_SYS_ADMIN alone,
// and so is not asked for. An event comes before the exec is complete.
type execs struct {
	fd  int
	buf []byte
}

// bulk is how many bytes of events are read at once: about a thousand events.
const bulk = 64 << 10

// openExecs begins to listen in folders. Those that have gone meanwhile are left
// out; with no folder at all there is nothing to hear.
func openExecs(dirs []string) (*execs, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_REPORT_DFID_NAME, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for programs that start: fanotify: %w", err)
	}
	for _, dir := range dirs {
		err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_ONLYDIR, unix.FAN_OPEN_EXEC|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, dir)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			unix.Close(fd)
			return nil, fmt.Errorf("cannot listen for programs that start in %s: fanotify: %w", dir, err)
		}
	}
	return &execs{fd: fd, buf: make([]byte, bulk)}, nil
}

func (e *execs) close() { unix.Close(e.fd) }

// drain hands the file name of each program executed since the last time to
// found, valid until it returns. lost tells that the kernel's queue ran over. The
// queue is read once over at most, however fast it is filled again.
func (e *execs) drain(found func(name []byte)) (lost bool, err error) {
	for left := queue; left > 0; {
		n, err := unix.Read(e.fd, e.buf)
		switch {
		case err == unix.EAGAIN:
			return lost, nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return lost, fmt.Errorf("cannot read which programs start: %w", err)
		}
		events, over, err := parseExecs(e.buf[:n], found)
		if lost = lost || over; err != nil {
			return lost, err
		}
		left -= max(events, 1)
	}
	return lost, nil
}

// queue is the number of events that the kernel keeps for a group.
const queue = 16384

// Lengths in struct fanotify_event_metadata, the header of an information record
// and struct fanotify_event_info_fid up to the bytes of the file handle.
const (
	metaLen   = 24
	headLen   = 4
	handleAt  = headLen + 8 + 8
	handleLen = headLen + 8
)

var errExecs = errors.New("cannot understand which programs start: the kernel's events are of another form")

// parseExecs reads events (fanotify(7)) and counts them. The kernel's own byte
// order is that of the machine.
func parseExecs(data []byte, found func(name []byte)) (events int, lost bool, err error) {
	for len(data) > 0 {
		if len(data) < metaLen {
			return events, lost, errExecs
		}
		size, version, meta := binary.NativeEndian.Uint32(data), data[4], binary.NativeEndian.Uint16(data[6:])
		if version != unix.FANOTIFY_METADATA_VERSION || int(meta) < metaLen || uint32(meta) > size || uint64(size) > uint64(len(data)) {
			return events, lost, errExecs
		}
		events++
		if binary.NativeEndian.Uint64(data[8:])&unix.FAN_Q_OVERFLOW != 0 {
			lost = true
		} else if name := nameIn(data[meta:size]); name != nil {
			found(name)
		}
		data = data[size:]
	}
	return events, lost, nil
}

// nameIn returns the file name in the information records of an event, nil if it
// has none.
func nameIn(records []byte) []byte {
	for len(records) >= headLen {
		kind, size := records[0], int(binary.NativeEndian.Uint16(records[2:]))
		if size < headLen || size > len(records) {
			return nil
		}
		if record := records[:size]; kind == unix.FAN_EVENT_INFO_TYPE_DFID_NAME && size >= handleAt {
			handle := int(binary.NativeEndian.Uint32(record[handleLen:]))
			if handle < 0 || handle > size-handleAt {
				return nil
			}
			name, _, _ := bytes.Cut(record[handleAt+handle:], []byte{0})
			return name
		}
		records = records[size:]
	}
	return nil
}
