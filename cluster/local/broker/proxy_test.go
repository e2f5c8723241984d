package broker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// echo is a server that sends every line back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func newProxy(t *testing.T) *Proxy {
	t.Helper()
	p, err := NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a line and wants it back in time.
func ask(c net.Conn, within time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c, "hello"); err != nil {
		return err
	}
	got, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && got != "hello\n" {
		err = fmt.Errorf("got %q", got)
	}
	return err
}

const soon = time.Minute

func set(t *testing.T, p *Proxy, m ProxyMode) {
	t.Helper()
	if err := p.Set(m); err != nil {
		t.Fatal(err)
	}
}

func TestProxyPasses(t *testing.T) {
	p := newProxy(t)
	if err := errors.Join(ask(dial(t, p), soon), ask(dial(t, p), soon)); err != nil {
		t.Error(err)
	}
	if got := p.Accepted(); got != 2 {
		t.Errorf("Accepted: %d, want 2", got)
	}
}

func TestProxyRefuses(t *testing.T) {
	p := newProxy(t)
	open := dial(t, p)
	if err := ask(open, soon); err != nil {
		t.Fatal(err)
	}
	set(t, p, Refuse)
	set(t, p, Refuse) // Idempotent.
	if err := ask(open, soon); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("open connection: %v, want it cut", err)
	}
	if c, err := net.Dial("tcp", p.Addr); err == nil {
		_ = c.Close()
		t.Error("a connection was accepted")
	}
	set(t, p, Pass)
	if err := ask(dial(t, p), soon); err != nil {
		t.Errorf("after Pass: %v", err)
	}
}

func TestProxyHangsAndLosesNothing(t *testing.T) {
	p := newProxy(t)
	open := dial(t, p)
	if err := ask(open, soon); err != nil {
		t.Fatal(err)
	}
	set(t, p, Hang)
	fresh := dial(t, p)
	for name, c := range map[string]net.Conn{"open": open, "new": fresh} {
		if err := ask(c, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s connection: %v, want no answer", name, err)
		}
	}
	set(t, p, Pass)
	for name, c := range map[string]net.Conn{"open": open, "new": fresh} {
		_ = c.SetDeadline(time.Now().Add(soon))
		if got, err := bufio.NewReader(c).ReadString('\n'); got != "hello\n" {
			t.Errorf("%s connection after Pass: %q (%v), want what was sent", name, got, err)
		}
	}
}

func TestProxySlow(t *testing.T) {
	p := newProxy(t)
	c := dial(t, p)
	const delay = 50 * time.Millisecond
	p.Slow(delay)
	start := time.Now()
	if err := ask(c, soon); err != nil {
		t.Fatal(err)
	}
	if got := time.Since(start); got < 2*delay {
		t.Errorf("there and back took %s, want at least twice %s", got, delay)
	}
	p.Slow(time.Hour)
	if err := ask(c, delay); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an hour's delay: %v, want no answer", err)
	}
	p.Slow(0) // What is held back goes on.
	_ = c.SetDeadline(time.Now().Add(soon))
	if got, err := bufio.NewReader(c).ReadString('\n'); got != "hello\n" {
		t.Errorf("after Slow(0): %q (%v)", got, err)
	}
}

func TestProxyCut(t *testing.T) {
	p := newProxy(t)
	c := dial(t, p)
	if err := ask(c, soon); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := ask(c, soon); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("cut connection: %v", err)
	}
	if err := ask(dial(t, p), soon); err != nil {
		t.Errorf("the next connection: %v", err)
	}
}

func TestProxyPassesTheEndOn(t *testing.T) {
	c := dial(t, newProxy(t)).(*net.TCPConn)
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, "bye"); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
		t.Errorf("read %q (%v), want all, then the end", got, err)
	}
}

func TestProxyConcurrently(t *testing.T) {
	p := newProxy(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if c, err := net.Dial("tcp", p.Addr); err == nil {
					_ = ask(c, 10*time.Millisecond)
					_ = c.Close()
				}
			}
		})
	}
	for i := range 40 {
		set(t, p, ProxyMode(i%3))
		p.Cut()
		p.Slow(time.Duration(i%2) * time.Millisecond)
	}
	wg.Wait()
	set(t, p, Pass)
	p.Slow(0)
	if err := ask(dial(t, p), soon); err != nil {
		t.Error(err)
	}
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	if err := p.Set(Pass); err == nil {
		t.Error("a closed proxy opened again")
	}
}
