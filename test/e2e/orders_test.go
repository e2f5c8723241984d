package e2e_test

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// traded is how many orders trades places. One is cancelled before it is paid, and one, which is paid, is never shipped.
const traded = 20

// appended is how many events that is: each order is placed, paid and shipped, or placed and cancelled, or placed and paid.
const appended = 3*traded - 2

// trades starts the order service with the mounted Secrets of the orders' and of the warehouse's store, and checks it from outside, as
// its clients see it. It does not know the broker. stop ends it, with everything read that it has begun.
func trades(t *testing.T, database string, bindings ...string) (stop func()) {
	t.Helper()
	ports, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	addr, log := process.Loopback(ports[0]), t.TempDir()+"/orders.log"
	service, err := process.Start(process.Spec{
		Path: world.orders, Args: append([]string{"serve", "--postgres", database, "--listen", addr}, bindings...), LogFile: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Kill(); err != nil {
			t.Error(err)
		}
	})
	check := append([]string{"check", "--url", "http://" + addr, "--orders", strconv.Itoa(traded), "--timeout", patience.String()}, bindings...)
	out, err := exec.CommandContext(t.Context(), world.orders, check...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "everything matched") {
		t.Fatalf("orders check: %v\n%s\nThe service is %s, and says:\n%s", err, out, service.State(), process.Tail(log, 50))
	}
	return func() {
		if err := service.Stop(patience); err != nil || service.State() != "exit status 0" {
			t.Fatalf("the service ended with %v and %s, and says:\n%s", err, service.State(), process.Tail(log, 50))
		}
	}
}

// tours goes once around a store and a subscription with their mounted Secrets: it writes, reads, and leaves with everything read.
func tours(t *testing.T, store, subscription string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), world.orders, "tour", "--binding", store, "--subscription-binding", subscription).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "everything matched") {
		t.Fatalf("orders tour: %v\n%s", err, out)
	}
}
