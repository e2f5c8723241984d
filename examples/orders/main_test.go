package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/postgrestest"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

// patience is how long a test waits for what takes seconds on an idle machine.
const patience = 4 * time.Minute

// asService says that this program is to be the service, and not its tests.
const asService = "ORDERS_AS_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		main()
		return
	}
	pulsartest.Main(m)
}

// secrets are those that the claims of an application team give it.
type secrets struct{ store, subscription, warehouse, warehouseSubscription eventstore.Secret }

// provider makes stores and subscriptions on a broker.
type provider interface {
	Store(name string) eventstore.Secret
	Subscription(store eventstore.Secret, name string) eventstore.Secret
}

func secretsOf(p provider) secrets {
	store, warehouse := p.Store("orders"), p.Store("warehouse")
	return secrets{store, p.Subscription(store, "billing"), warehouse, p.Subscription(warehouse, "picking")}
}

// brokers are what the service runs on.
var brokers = map[string]func(*testing.T) secrets{
	"Memory": func(*testing.T) secrets { return secretsOf(memoryProvider{strings.ToLower(rand.Text())}) },
	"Redis":  func(t *testing.T) secrets { return secretsOf(brokerProvider{t, redistest.Start(t)}) },
	"Kafka":  func(t *testing.T) secrets { return secretsOf(brokerProvider{t, kafkatest.Start(t)}) },
	"Pulsar": func(t *testing.T) secrets {
		return secretsOf(brokerProvider{t, pulsartest.Start(t, broker.PulsarOptions{})})
	},
}

type memoryProvider struct{ namespace string }

func (p memoryProvider) Store(name string) eventstore.Secret {
	return eventstore.Secret{
		layout.SecretType: []byte(layout.SecretTypeEventStore), layout.SecretProvider: []byte("memory"),
		layout.SecretStore: []byte(p.namespace + "." + name), layout.SecretPartitions: []byte("6"),
	}
}

func (memoryProvider) Subscription(store eventstore.Secret, name string) eventstore.Secret {
	s := maps.Clone(store)
	s[layout.SecretSubscription] = []byte(name)
	return s
}

// brokerProvider is the provider on a real broker.
type brokerProvider struct {
	t      *testing.T
	server interface {
		Store(t testing.TB, kind layout.Kind, more map[string]string) eventstore.Secret
		Subscription(t testing.TB, store eventstore.Secret, name string) eventstore.Secret
	}
}

func (p brokerProvider) Store(string) eventstore.Secret {
	return p.server.Store(p.t, layout.Sourcing, nil)
}

func (p brokerProvider) Subscription(s eventstore.Secret, name string) eventstore.Secret {
	return p.server.Subscription(p.t, s, name)
}

// mount returns the folder of a Secret, as the kubelet mounts it.
func mount(t *testing.T, s eventstore.Secret) string {
	t.Helper()
	return rotationtest.NewMount(t, s).Dir()
}

// A service runs in a process of its own, or in this one if its store is in memory.
type service struct {
	args  []string
	log   string
	inner bool

	proc *process.Process
	stop context.CancelFunc
	done chan error
}

func (s *service) start(t *testing.T) {
	t.Helper()
	if s.inner {
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		s.stop, s.done = stop, make(chan error, 1)
		go func() { s.done <- run(ctx, io.Discard, s.args) }()
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.proc, err = process.Start(process.Spec{Name: "orders", Path: program, Args: s.args, Env: []string{asService + "=1"}, LogFile: s.log})
	if err != nil {
		t.Fatal(err)
	}
}

// end lets the service finish what it has begun.
func (s *service) end(t *testing.T) {
	t.Helper()
	if s.inner {
		s.stop()
		if err := <-s.done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
		return
	}
	if err := s.proc.Stop(patience); err != nil { // SIGTERM, as Kubernetes does.
		t.Fatal(err)
	}
	if got := s.proc.State(); got != "exit status 0" {
		t.Errorf("the service ended with %s", got)
	}
}

// crash ends it in the middle of whatever it does. In memory there would be nothing left.
func (s *service) crash(t *testing.T) {
	t.Helper()
	if s.inner {
		s.end(t)
		return
	}
	if err := s.proc.Kill(); err != nil {
		t.Fatal(err)
	}
}

// clean leaves nothing running, and shows what the service said if something went wrong.
func (s *service) clean(t *testing.T) {
	t.Helper()
	if s.inner {
		s.stop()
	} else if s.proc != nil {
		_ = s.proc.Kill()
	}
	if log, err := os.ReadFile(s.log); err == nil && t.Failed() {
		t.Logf("the service's log:\n%s", log)
	}
}

// buffer is what check prints. It may be read at any time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestService checks the service from outside, while it crashes, and is stopped, and each time started again; at last there are two.
func TestService(t *testing.T) {
	database := postgrestest.Start(t)
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) { testService(t, start(t), database.Database(t), name == "Memory") })
	}
}

func testService(t *testing.T, s secrets, db *pgxpool.Pool, inner bool) {
	ports, err := process.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	addr := process.Loopback(ports[0])
	flags := []string{
		"--binding", mount(t, s.store), "--subscription-binding", mount(t, s.subscription),
		"--warehouse-binding", mount(t, s.warehouse), "--warehouse-subscription-binding", mount(t, s.warehouseSubscription),
		"--postgres", db.Config().ConnString(), "--listen", addr, "--url", "http://" + addr,
	}
	svc := &service{args: append([]string{"serve"}, flags...), log: filepath.Join(t.TempDir(), "orders.log"), inner: inner}
	svc.start(t)
	t.Cleanup(func() { svc.clean(t) })
	replica := &service{args: append(svc.args[:len(svc.args):len(svc.args)], "--listen", process.Loopback(ports[1])), log: svc.log, inner: inner}

	const orders = 120
	out, checked := &buffer{}, make(chan error, 1)
	go func() {
		checked <- run(t.Context(), out, append([]string{"check", "--orders", strconv.Itoa(orders), "--timeout", patience.String()}, flags...))
	}()
	sold(t, db, orders/4, checked)
	svc.crash(t)
	svc.start(t)
	sold(t, db, orders/2, checked)
	replica.start(t)
	t.Cleanup(func() { replica.clean(t) })
	svc.end(t)
	svc.start(t)
	if err := <-checked; err != nil {
		t.Fatalf("check: %v\n%s", err, out)
	}
	t.Logf("check:\n%s", out)
	svc.end(t)
	replica.end(t)
	once(t, db, orders)

	// Every order is placed, paid and shipped, but one that is cancelled instead, and one that the warehouse does not have.
	if got, want := strings.Count(printed(t, "replay", flags), "\n"), 3*orders-2; got != want {
		t.Errorf("replay prints %d events, want %d", got, want)
	}
	if got, want := printed(t, "dead-letters", flags), `the warehouse has no product "unobtainium"`; !strings.Contains(got, want) {
		t.Errorf("dead-letters prints %q, want %q", got, want)
	}
	if got, want := printed(t, "rebuild", flags), fmt.Sprintf("the read model has %d orders\n", orders); got != want {
		t.Errorf("rebuild prints %q, want %q", got, want)
	}
	once(t, db, orders)
	redriven(t, flags, db)
}

// redriven has the warehouse get the product that it did not have, and pick the order after all, once. Pulsar cannot.
func redriven(t *testing.T, flags []string, db *pgxpool.Pool) {
	t.Helper()
	if strings.HasSuffix(t.Name(), "Pulsar") {
		if err := run(t.Context(), io.Discard, append([]string{"redrive"}, flags...)); err == nil {
			t.Error("redrive succeeds, and Pulsar cannot")
		}
		return
	}
	if err := run(t.Context(), io.Discard, append([]string{"redrive"}, flags...)); err == nil {
		t.Error("redrive succeeds, and the warehouse does not have the product yet")
	}
	if _, err := db.Exec(t.Context(), "INSERT INTO stock VALUES ('unobtainium', 1000)"); err != nil {
		t.Fatal(err)
	}
	// A crash can write a dead letter twice; the inbox lets the order be picked once.
	if got := printed(t, "redrive", flags); got == "picked after all: 0\n" {
		t.Errorf("redrive prints %q", got)
	}
	if got := printed(t, "dead-letters", flags); got != "" {
		t.Errorf("dead-letters prints %q after a redrive that picked all", got)
	}
	if got := printed(t, "redrive", flags); got != "picked after all: 0\n" {
		t.Errorf("redrive prints %q when nothing is left", got)
	}
	var picked int
	err := db.QueryRow(t.Context(), "SELECT 1000 - pieces FROM stock WHERE product = 'unobtainium'").Scan(&picked)
	if err != nil || picked != poison+1 {
		t.Errorf("%d pieces were picked after all, %v; want %d", picked, err, poison+1)
	}
}

// printed is what a command prints.
func printed(t *testing.T, command string, flags []string) string {
	t.Helper()
	var out strings.Builder
	if err := run(t.Context(), &out, append([]string{command}, flags...)); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	return out.String()
}

// sold waits until so many orders are in the read model.
func sold(t *testing.T, db *pgxpool.Pool, want int, checked <-chan error) {
	t.Helper()
	deadline := time.After(patience)
	for {
		var n int
		err := db.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n) // There is no table at first.
		if err == nil && n >= want {
			return
		}
		select {
		case err := <-checked:
			t.Fatalf("check has ended before %d orders were sold: %v", want, err)
		case <-deadline:
			t.Fatalf("waited %s until %d orders are sold; last seen: %d, %v", patience, want, n, err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// once looks at the tables: the stock says how often pieces were taken.
func once(t *testing.T, db *pgxpool.Pool, orders int) {
	t.Helper()
	var inModel, invoices, void, picks, pieces, taken, waiting int
	err := db.QueryRow(t.Context(), `SELECT
		(SELECT count(*) FROM orders), (SELECT count(*) FROM invoices), (SELECT count(*) FROM invoices WHERE void),
		(SELECT count(*) FROM picks), (SELECT sum(pieces) FROM picks), (SELECT sum(1000000 - pieces) FROM stock),
		(SELECT count(*) FROM eventstore_outbox)`).Scan(&inModel, &invoices, &void, &picks, &pieces, &taken, &waiting)
	if err != nil {
		t.Fatal(err)
	}
	ordered := orders*(orders+1)/2 - (cancelled + 1) - (poison + 1) // Order n is for n+1 pieces.
	if inModel != orders || invoices != orders || void != 1 || picks != orders-2 || pieces != ordered || taken != ordered || waiting != 0 {
		t.Errorf("the read model has %d orders, %d invoices (%d void); the warehouse %d picks of %d pieces, its stock lacks %d; %d wait in the outbox: want %d orders, %d pieces",
			inModel, invoices, void, picks, pieces, taken, waiting, orders, ordered)
	}
}

// TestTour is for those who have a store, and nothing else.
func TestTour(t *testing.T) {
	for _, name := range []string{"Memory", "Redis"} {
		t.Run(name, func(t *testing.T) {
			s := brokers[name](t)
			store, subscription := mount(t, s.store), mount(t, s.subscription)
			for range 2 { // The second time the store holds the first order.
				var out strings.Builder
				if err := run(t.Context(), &out, []string{"tour", "--binding", store, "--subscription-binding", subscription}); err != nil {
					t.Fatalf("tour: %v\n%s", err, out.String())
				}
				for _, want := range []string{"conflict  a cancellation expected version 1", "from a snapshot at version 2", "everything matched"} {
					if !strings.Contains(out.String(), want) {
						t.Errorf("the tour lacks %q:\n%s", want, out.String())
					}
				}
			}
		})
	}
}
