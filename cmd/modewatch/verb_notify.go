package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/godbus/dbus/v5"
)

// runNotify shows transitions on this user's desktop until it is ended, or the bus of
// the session goes away.
func runNotify(e env, _ []string) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return 0, broken("run it in a session, as modewatch-notify.service does", "the bus of a session cannot be reached: %v", err)
	}
	defer conn.Close()
	ended, stop := signal.NotifyContext(context.Background(), os.Interrupt, termination)
	defer stop()
	ctx, stop := context.WithCancel(ended)
	defer stop()
	defer context.AfterFunc(conn.Context(), stop)()
	d := &desktop{env: e, files: filesOf(cfg), conn: conn}
	go d.listen(d.actions())
	var decide noticer
	err = e.watchOverview(ctx, cfg, func(o overview) (bool, error) {
		if n, any := decide.next(o); any {
			d.show(n)
		}
		return false, nil
	})
	if ended.Err() == nil && err == nil {
		return 0, fmt.Errorf("the bus of the session has gone")
	}
	if decide.shown.progress >= 0 { // nobody would bring it up to date; an end stays
		d.close()
	}
	return 0, err
}
