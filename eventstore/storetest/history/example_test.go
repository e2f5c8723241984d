package history_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
)

// A program that hunts for violations as long as one likes, while a broker of its own is killed, and connections through a proxy
// of its own are cut.
func Example() {
	history.Work() // The workers are this program, started again.

	ctx := context.Background()
	var secret, subscription eventstore.Secret // As the workers open it, through the proxy.
	var proxy history.Connections              // Cut and Slow are how it fails.
	var broker history.Broker = &server{}
	faults := append(history.BrokerFaults(broker), history.ConnectionFaults(proxy)...)
	faults = append(faults, history.Fault{Name: "connections cut while slow", Rare: true, Inject: func(context.Context) error {
		proxy.Slow(time.Millisecond)
		defer proxy.Slow(0)
		proxy.Cut()
		return nil
	}})

	var result history.Result
	result, err := history.Run(ctx, history.Options{Secret: secret, Operations: 100_000, Seed: 1, Faults: faults})
	fmt.Println(result)
	if violation, ok := errors.AsType[*history.Violation](err); ok {
		log.Fatal(violation) // With all operations on its stream.
	}

	var consumed history.ConsumeResult
	consumed, err = history.Consume(ctx, history.ConsumeOptions{Store: secret, Subscription: subscription, Events: 10_000, Kills: 20, Faults: faults})
	fmt.Println(consumed, err)
}

// server is a broker that this program started.
type server struct {
	path    string
	running *os.Process
}

func (s *server) Restart(context.Context) (err error) {
	s.running, err = os.StartProcess(s.path, []string{s.path}, &os.ProcAttr{})
	return err
}

func (s *server) Kill() error   { return s.running.Kill() }
func (s *server) Pause() error  { return s.running.Signal(syscall.SIGSTOP) }
func (s *server) Resume() error { return s.running.Signal(syscall.SIGCONT) }

// What one may rely on after each outcome of an append.
func ExampleOperation() {
	happened := map[string]string{
		history.Succeeded: "yes", history.Conflict: "no", history.Failed: "no", history.Unknown: "perhaps, or it will yet",
	}
	o := history.Operation{IDs: []string{"placed"}, Outcome: history.Unknown}
	fmt.Println(happened[o.Outcome])
	// Output: perhaps, or it will yet
}

// Any history can be checked. This one has lost an event that was acknowledged.
func ExampleCheck() {
	order := eventstore.StreamID{Type: "order", ID: "42"}
	err := history.Check([]history.Operation{
		{Client: 1, Stream: order, IDs: []string{"placed"}, Call: 1 * time.Second, Return: 2 * time.Second, Outcome: history.Succeeded, Version: 1},
		{Client: 2, Stream: order, Call: 3 * time.Second, Return: 4 * time.Second, Outcome: history.Succeeded},
	})
	violation, ok := errors.AsType[*history.Violation](err)
	fmt.Println(ok && violation.Stream == order)
	// Output: true
}
