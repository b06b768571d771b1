package act

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// breaker is a user's manager in its last moment: it takes connections, reads of them
// what it is told, and breaks them off, as often as times says. Then it is gone.
func breaker(t *testing.T, times int) *Actor {
	t.Helper()
	a := &Actor{users: t.TempDir(), log: func(text string) { t.Log(text) }}
	dir := filepath.Join(a.users, strconv.Itoa(os.Getuid()), "systemd")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "private"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		defer l.Close() // it takes its name away
		for range times {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return a
}

// A manager that ends while it is asked has nothing to start: that is no failure.
func TestAManagerThatBreaksOff(t *testing.T) {
	uid := strconv.Itoa(os.Getuid())
	if _, err := breaker(t, 3).userManager(t.Context(), uid); !errors.Is(err, errNoManager) {
		t.Errorf("of one that ends is said: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := breaker(t, 1<<30).userManager(ctx, uid); err == nil || errors.Is(err, errNoManager) {
		t.Errorf("of one that goes on breaking off is said: %v", err)
	}
}
