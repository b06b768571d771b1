// Command k3s stands in for the platform service of the same name: it runs until it
// is told to stop. What the tests look at is that nobody tells it.
package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	fmt.Println("k3s stand-in is up")
	<-ctx.Done()
	fmt.Println("k3s stand-in was told to stop")
}
