package desired

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// maxWord is the most bytes that desired may hold.
const maxWord = 64

// key identifies one content of one file at one time.
type key struct {
	Inode   uint64 `json:"inode"`
	MTime   int64  `json:"mtime_ns"`
	Size    int64  `json:"size"`
	Content string `json:"content"` // quoted if it is not text, empty if it is too long
}

// content is one look at desired.
type content struct {
	key     key
	missing bool
	kind    string // what it is instead of a regular file
	fault   string // why it is not to be trusted
	stat    unix.Stat_t
	file    *os.File
}

func (c content) close() {
	if c.file != nil {
		c.file.Close()
	}
}

// readWord looks at path. It never follows a link, never blocks on a fifo and
// never opens a device.
func readWord(path string, owner int) content {
	var c content
	if err := unix.Lstat(path, &c.stat); err != nil {
		return c.failed(err)
	}
	if c.kind = notRegular(c.stat.Mode); c.kind != "" {
		return c.strange()
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return c.failed(err)
	}
	c.file = f
	return c.read(owner)
}

// maxTries bounds the looks at a file that keeps changing.
const maxTries = 8

// read fills c from its open file. Size, time and content of different moments
// would make the key of a write that never was, so it looks until two looks
// agree. A file that never rests reads as empty: its next event is on its way.
func (c content) read(owner int) content {
	if err := unix.Fstat(int(c.file.Fd()), &c.stat); err != nil {
		return c.failed(err)
	}
	if c.kind = notRegular(c.stat.Mode); c.kind != "" { // swapped since lstat
		return c.strange()
	}
	c.key = key{Inode: c.stat.Ino}
	buf := make([]byte, maxWord+1)
	for range maxTries {
		before := c.stat
		n, err := c.file.ReadAt(buf, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return c.failed(err)
		}
		if err := unix.Fstat(int(c.file.Fd()), &c.stat); err != nil {
			return c.failed(err)
		}
		if before.Mtim == c.stat.Mtim && before.Size == c.stat.Size && int64(n) == min(before.Size, maxWord+1) {
			c.key = newKey(c.stat, buf[:n])
			break
		}
	}
	switch {
	case int(c.stat.Uid) != owner:
		c.fault = fmt.Sprintf("it is owned by uid %d, not %d", c.stat.Uid, owner)
	case c.stat.Mode&0o002 != 0:
		c.fault = fmt.Sprintf("everybody may write it (mode %04o)", c.stat.Mode&0o7777)
	}
	return c
}

func newKey(st unix.Stat_t, data []byte) key {
	k := key{Inode: st.Ino, MTime: st.Mtim.Nano(), Size: st.Size}
	switch {
	case st.Size > maxWord:
	case utf8.Valid(data):
		k.Content = string(data)
	default:
		k.Content = strconv.QuoteToASCII(string(data))
	}
	return k
}

func (c content) failed(err error) content {
	c.missing = errors.Is(err, unix.ENOENT)
	c.fault = err.Error()
	if errors.Is(err, unix.ELOOP) {
		c.kind = "a symbolic link"
		return c.strange()
	}
	return c
}

func (c content) strange() content {
	c.fault = "it is " + c.kind + ", not a regular file"
	c.key = key{Inode: c.stat.Ino, MTime: c.stat.Mtim.Nano()}
	return c
}

func notRegular(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return ""
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a fifo"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFDIR:
		return "a directory"
	}
	return "a device"
}

// parse returns the mode that a content names. Two writers at once leave the
// last one's word over the longer word of the other ("compute\nocal\n"): that
// is the last one's wish, and mixed says that the file wants cleaning.
func parse(k key) (mode fsm.Mode, mixed, ok bool) {
	if k.Size > maxWord {
		return fsm.Unknown, false, false
	}
	if m, ok := fsm.ParseMode(strings.TrimSpace(k.Content)); ok {
		return m, false, true
	}
	for _, over := range spellings() {
		for _, under := range spellings() {
			if len(over) < len(under) && k.Content == over+under[len(over):] {
				m, ok := fsm.ParseMode(strings.TrimSpace(over))
				return m, true, ok
			}
		}
	}
	return fsm.Unknown, false, false
}

func spellings() []string {
	var out []string
	for _, m := range fsm.Modes {
		out = append(out, string(m)+"\n", string(m))
	}
	return out
}

// describe says what is wrong with a content that names no mode.
func describe(k key) string {
	words := make([]string, len(fsm.Modes))
	for i, m := range fsm.Modes {
		words[i] = string(m)
	}
	want := "want one of " + strings.Join(words, ", ")
	if k.Size > maxWord {
		return fmt.Sprintf("it holds %d bytes, more than %d; %s", k.Size, maxWord, want)
	}
	return strconv.QuoteToASCII(strings.TrimSpace(k.Content)) + " is no mode; " + want
}
