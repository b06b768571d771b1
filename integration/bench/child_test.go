package bench

import (
	"bufio"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// child is a program that runs in the machine for as long as the test.
type child struct {
	process
	m   *machine
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a program. What it says on stderr is read as if on stdout.
func (m *machine) start(command ...string) *child {
	m.t.Helper()
	// The shell's pid is the program's own after exec.
	cmd := m.Command(m.t.Context(), append([]string{"sh", "-c", `echo $$; exec "$@" 2>&1`, "sh"}, command...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.StartCommand(cmd); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Cancel() // fails where it has ended
		_ = cmd.Wait()
	})
	c := &child{m: m, cmd: cmd, in: in, out: bufio.NewReader(out)}
	c.process = process{t: m.t}
	c.process = m.process(int(c.number(c.line())))
	return c
}

// line reads a line.
func (c *child) line() string {
	c.t.Helper()
	text, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q ended: %v\n%s", c.cmd.Args, err, text)
	}
	return strings.TrimSpace(text)
}

// want reads a line, which has to be this.
func (c *child) want(line string) {
	c.t.Helper()
	if got := c.line(); got != line {
		rest, _ := c.out.Peek(c.out.Buffered())
		c.t.Fatalf("%q says %s\n%s", c.cmd.Args, strconv.Quote(got), rest)
	}
}
