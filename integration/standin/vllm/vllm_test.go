package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestState(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	later := start.Add(5 * time.Second)
	for _, c := range []struct {
		name, told string
		at         time.Time
		want       view
	}{
		{"nothing told", "", start, view{ready: true}},
		{"all told", "running=2\nwaiting=1\nbroken=true\nhang=true", start, view{running: 2, waiting: 1, ready: true, broken: true, hang: true}},
		{"loading", "ready_after=5s", later.Add(-1), view{}},
		{"loaded", "ready_after=5s", later, view{ready: true}},
		{"draining", "running=2\ndrain_after=5s", later.Add(-1), view{running: 2, ready: true}},
		{"drained", "running=2\nwaiting=9\ndrain_after=5s", later, view{ready: true}},
		{"busy again", "drain_after=0s\nrunning=1", later, view{running: 1, ready: true}},
		{"comments", "# busy\n\n running=1 ", start, view{running: 1, ready: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &state{}
			if err := s.set(strings.NewReader(c.told), start); err != nil {
				t.Fatal(err)
			}
			if got := s.look(c.at); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestStateRefusesWhole(t *testing.T) {
	for _, bad := range []string{"speed=9", "running=many", "ready_after=5", "hang=perhaps", "running"} {
		s := &state{}
		if err := s.set(strings.NewReader("waiting=4\n"+bad), time.Now()); err == nil {
			t.Errorf("%q was taken", bad)
		}
		if got := s.look(time.Now()); got.waiting != 0 {
			t.Errorf("half of %q was taken: %+v", bad, got)
		}
	}
}

func TestServer(t *testing.T) {
	s := &state{}
	server := httptest.NewServer(handler(s, "tiny"))
	defer server.Close()
	if code := get(t, server.URL+"/health"); code != http.StatusOK {
		t.Errorf("health: %d", code)
	}
	post(t, server.URL, "running=3\nready_after=1h", http.StatusOK)
	post(t, server.URL, "nonsense", http.StatusBadRequest)
	for _, path := range []string{"/health", "/v1/models"} {
		if code := get(t, server.URL+path); code != http.StatusServiceUnavailable {
			t.Errorf("%s while loading: %d", path, code)
		}
	}
	answer := httptest.NewRecorder()
	metrics(answer, s.look(time.Now()), "tiny")
	want := `vllm:num_requests_running{engine="0",model_name="tiny"} 3.0` + "\n"
	if !strings.Contains(answer.Body.String(), want) {
		t.Errorf("metrics:\n%swant %s", answer.Body, want)
	}
}

func TestServerHangs(t *testing.T) {
	server := httptest.NewServer(handler(&state{now: told{hang: true}}, "tiny"))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(request); err == nil {
		answer.Body.Close()
		t.Errorf("answered %s", answer.Status)
	}
	post(t, server.URL, "hang=false", http.StatusOK)
	if code := get(t, server.URL+"/health"); code != http.StatusOK {
		t.Errorf("health after the hang: %d", code)
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func post(t *testing.T, server, told string, want int) {
	t.Helper()
	answer, err := http.Post(server+"/_control", "text/plain", strings.NewReader(told))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != want {
		t.Errorf("telling %q: %s, want %d", told, answer.Status, want)
	}
}
