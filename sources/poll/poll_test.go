package poll

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func write(t *testing.T, fd int) {
	t.Helper()
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Fatal(err)
	}
}

func set(t *testing.T, fds ...int) *Set {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, fd := range fds {
		if err := s.Add(fd); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// expect waits for files, as long as the test has.
func expect(t *testing.T, s *Set, want ...int) {
	t.Helper()
	got, err := s.Wait(t.Context(), time.Time{})
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v, %v; want %v", got, err, want)
	}
}

// nothing tells that no file of the set is told.
func nothing(t *testing.T, s *Set) {
	t.Helper()
	if got, err := s.Wait(t.Context(), time.Now().Add(5*time.Millisecond)); err != nil || len(got) > 0 {
		t.Fatalf("%v, %v; want nothing", got, err)
	}
}

func TestAFileIsToldOnceUntilAgain(t *testing.T) {
	r, w := pipe(t)
	s := set(t, r)
	nothing(t, s)
	write(t, w)
	expect(t, s, r)
	nothing(t, s)
	write(t, w)
	nothing(t, s)
	if err := s.Again(r); err != nil {
		t.Fatal(err)
	}
	expect(t, s, r)
	if err := errors.Join(s.Again(r), s.Remove(r)); err != nil {
		t.Fatal(err)
	}
	nothing(t, s)
	if s.Again(r) == nil || s.Add(-1) == nil {
		t.Error("what is not in the set was watched")
	}
}

// A wait that has begun is ended by an event, and by the end of its context.
func TestWaitIsWoken(t *testing.T) {
	r, w := pipe(t)
	s := set(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan []int)
	ended := make(chan error)
	go func() {
		for {
			fds, err := s.Wait(ctx, time.Time{})
			if err != nil {
				ended <- err
				return
			}
			got <- fds
		}
	}()
	write(t, w)
	if fds := <-got; !slices.Equal(fds, []int{r}) {
		t.Errorf("%v", fds)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := s.Wait(ctx, time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestManyFiles(t *testing.T) {
	s := set(t)
	var all []int
	for range 2 * most {
		r, w := pipe(t)
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
		write(t, w)
		all = append(all, r)
	}
	var got []int
	for len(got) < len(all) {
		fds, err := s.Wait(t.Context(), time.Time{})
		if err != nil || len(fds) == 0 {
			t.Fatalf("%v, %v", fds, err)
		}
		got = append(got, fds...)
	}
	slices.Sort(got)
	slices.Sort(all)
	if !slices.Equal(got, all) {
		t.Errorf("%v, want %v", got, all)
	}
}
