package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"time"
)

// handler answers as vLLM's server does, in the parts that a supervisor asks.
func handler(s *state, model string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		if v := s.look(time.Now()); !v.ready {
			http.Error(w, "loading", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		metrics(w, s.look(time.Now()), model)
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		if v := s.look(time.Now()); !v.ready {
			http.Error(w, "loading", http.StatusServiceUnavailable)
			return
		}
		models(w, model)
	})
	mux.HandleFunc("POST /_control", func(w http.ResponseWriter, r *http.Request) {
		if err := s.set(r.Body, time.Now()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	return hanging(s, mux)
}

// hanging lets nothing but the control through while the server is to hang.
func hanging(s *state, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_control" && s.look(time.Now()).hang {
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
}

func metrics(w http.ResponseWriter, v view, model string) {
	if v.broken {
		fmt.Fprintln(w, "<html><body>Bad gateway</body></html>")
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	gauge(w, "vllm:num_requests_running", "Number of requests in model execution batches.", model, v.running)
	gauge(w, "vllm:num_requests_waiting", "Number of requests waiting to be processed.", model, v.waiting)
}

func gauge(w http.ResponseWriter, name, help, model string, value int) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s{engine=\"0\",model_name=%q} %d.0\n", name, help, name, name, model, value)
}

func models(w http.ResponseWriter, model string) {
	w.Header().Set("Content-Type", "application/json")
	list := map[string]any{"object": "list", "data": []map[string]string{{"id": model, "object": "model", "owned_by": "vllm"}}}
	if err := json.NewEncoder(w).Encode(list); err != nil {
		log.Printf("cannot answer: %v", err)
	}
}
