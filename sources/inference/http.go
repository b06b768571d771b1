package inference

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The standard client would do, but merely linking net/http costs every command
// of the program 1.3 ms at its start and the daemon 3 MiB, for one kind of
// request to one kind of server. This one knows GET over HTTP/1.1 on the
// loopback: no names, no proxies, no redirects, no TLS, no second request on a
// connection, and no body beyond maxBody.

const (
	maxBody  = 4 << 20
	statusOK = 200
)

// address is a server on the loopback.
type address struct {
	host string // as dialled, with port
	path string // prefix of the paths, without a slash at its end
}

func (a address) String() string { return "http://" + a.host + a.path }

// parseAddress accepts http://HOST[:PORT][/PREFIX] with localhost or an address
// of the loopback as HOST.
func parseAddress(base string) (address, error) {
	u, err := url.Parse(base)
	if err != nil {
		return address{}, fmt.Errorf("cannot use the address: %w", err)
	}
	if u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return address{}, fmt.Errorf("cannot use the address %q: want http://127.0.0.1:PORT", u.Redacted())
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return address{}, fmt.Errorf("cannot use the address %q: it is not on the loopback", base)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return address{host: net.JoinHostPort(host, port), path: strings.TrimRight(u.EscapedPath(), "/")}, nil
}

// answer is the status and body of a response.
type answer struct {
	status int
	body   []byte
}

// get asks for one path. It returns when ctx ends, whatever the server does.
func get(ctx context.Context, at address, path string) (answer, error) {
	got, err := exchange(ctx, at, path)
	if err != nil && ctx.Err() != nil {
		return answer{}, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
	return got, err
}

func exchange(ctx context.Context, at address, path string) (answer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at.host)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	// A deadline in the past wakes reads and writes at once.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_, err = fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: modewatch\r\n"+
		"Accept: text/plain\r\nConnection: close\r\n\r\n", at.path, path, at.host)
	if err != nil {
		return answer{}, err
	}
	limited := &io.LimitedReader{R: conn, N: maxBody}
	r := bufio.NewReader(limited)
	got, err := parseResponse(r)
	if limited.N <= 0 {
		return answer{}, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	}
	return got, err
}

func parseResponse(r *bufio.Reader) (answer, error) {
	text := textproto.NewReader(r)
	line, err := text.ReadLine()
	if err != nil {
		return answer{}, err
	}
	proto, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || !strings.HasPrefix(proto, "HTTP/1.") {
		return answer{}, fmt.Errorf("the server does not speak HTTP: %.40q", line)
	}
	head, err := text.ReadMIMEHeader()
	if err != nil {
		return answer{}, fmt.Errorf("cannot read the header: %w", err)
	}
	if proto == "HTTP/1.0" {
		head.Del("Transfer-Encoding") // it has none
	}
	body, err := readBody(r, head)
	return answer{status: status, body: body}, err
}

// readBody reads a body that is sent in chunks, by length or until the end.
func readBody(r *bufio.Reader, head textproto.MIMEHeader) ([]byte, error) {
	if coding := head.Get("Transfer-Encoding"); coding != "" {
		if !strings.EqualFold(coding, "chunked") {
			return nil, fmt.Errorf("the body is sent as %.40q", coding)
		}
		return readChunks(r)
	}
	length := head.Get("Content-Length")
	if length == "" {
		return io.ReadAll(r)
	}
	n, err := strconv.ParseUint(length, 10, 31)
	if err != nil || n > maxBody {
		return nil, fmt.Errorf("the body is %.40q bytes long", length)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("the body ends early: %w", err)
	}
	return body, nil
}

func readChunks(r *bufio.Reader) ([]byte, error) {
	var body []byte
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the body ends early: %w", err)
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 31)
		switch {
		case err != nil || n > maxBody:
			return nil, fmt.Errorf("a chunk is %.40q bytes long", size)
		case n == 0:
			return body, nil
		}
		chunk := make([]byte, n+2) // with the line end after it
		if _, err := io.ReadFull(r, chunk); err != nil {
			return nil, fmt.Errorf("the body ends early: %w", err)
		}
		if string(chunk[n:]) != "\r\n" {
			return nil, errors.New("a chunk is longer than it says")
		}
		body = append(body, chunk[:n]...)
	}
}
