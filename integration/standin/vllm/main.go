// Command vllm stands in for an inference server: an HTTP server on the loopback with
// vLLM's /health, /metrics and /v1/models, which pretends what it is told to.
//
// It is told by the file of -control, read again when it changes, and by the body of
// a POST to /_control; both have lines of KEY=VALUE:
//
//	running=N        requests running
//	waiting=N        requests waiting
//	ready_after=2s   /health and the models answer 503 until then
//	drain_after=5s   running and waiting become 0 by themselves then
//	broken=true      /metrics is not what it should be
//	hang=true        no answer to anything but /_control
//
// A later running= or waiting= ends a drain; what is not named stays as it was.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type options struct {
	listen, model, control, nodes string
	readyAfter                    time.Duration
	ignoreTerm                    bool
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8000", "`address` to listen to")
	flag.StringVar(&o.model, "model", "stand-in", "`name` of the model")
	flag.StringVar(&o.control, "control", "/run/vllm.control", "`file` that says what to pretend; need not exist")
	flag.StringVar(&o.nodes, "open", "", "device `nodes` to hold open, separated by commas")
	flag.DurationVar(&o.readyAfter, "ready-after", 0, "`time` that loading the model seems to take")
	flag.BoolVar(&o.ignoreTerm, "ignore-term", false, "go on when told to stop")
	flag.Parse()
	log.SetFlags(0)
	if err := run(o); err != nil {
		log.Fatalf("vllm: %v", err)
	}
}

// run serves until SIGTERM or SIGINT.
func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.ignoreTerm {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	}
	held, err := hold(o.nodes)
	if err != nil {
		return err
	}
	defer held()
	s := &state{now: told{ready: time.Now().Add(o.readyAfter)}}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	server := &http.Server{Handler: handler(s, o.model), BaseContext: func(net.Listener) context.Context { return ctx }}
	go follow(ctx, o.control, s)
	end := make(chan error, 1)
	go func() { end <- server.Serve(listener) }()
	log.Printf("vllm stand-in serves %s on %s", o.model, listener.Addr())
	select {
	case err := <-end:
		return fmt.Errorf("cannot serve: %w", err)
	case <-ctx.Done():
		log.Print("vllm stand-in was told to stop")
		return server.Close()
	}
}

// hold opens the nodes and returns what closes them.
func hold(nodes string) (func(), error) {
	var files []*os.File
	free := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for node := range strings.SplitSeq(nodes, ",") {
		if node == "" {
			continue
		}
		f, err := os.Open(node)
		if err != nil {
			free()
			return nil, fmt.Errorf("cannot hold the node: %w", err)
		}
		files = append(files, f)
	}
	return free, nil
}

// follow takes the control file in whenever it is another than before.
func follow(ctx context.Context, name string, s *state) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		content, err := os.ReadFile(name)
		if err == nil && string(content) != last {
			last = string(content)
			if err := s.set(strings.NewReader(last), time.Now()); err != nil {
				log.Printf("%s: %v", name, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
