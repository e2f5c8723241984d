package broker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// A ProxyMode is what a [Proxy] does with what it is sent.
type ProxyMode int

const (
	// Pass everything on, at once.
	Pass ProxyMode = iota

	// Refuse connections: nothing listens. Those that are open are cut.
	Refuse

	// Hang: accept connections, keep those that are open, and pass nothing on until another mode is set. Nothing is lost
	// then.
	Hang
)

// A Proxy stands between a client and a broker, and does what networks do. Its methods may be called concurrently.
//
//	p, err := broker.NewProxy(r.Addr)
//	defer p.Close()
//	p.Set(broker.Hang)
type Proxy struct {
	// Addr is where clients connect. It stays the same, also while nothing listens there.
	Addr string

	target string

	mu       sync.Mutex
	mode     ProxyMode
	delay    time.Duration
	changed  chan struct{} // Closed when the mode or the delay changes.
	listener net.Listener  // nil while connections are refused.
	conns    map[net.Conn]struct{}
	closed   bool
	accepted int
	running  sync.WaitGroup
}

// NewProxy listens on a free port of 127.0.0.1 and passes everything on to target, a host:port.
func NewProxy(target string) (*Proxy, error) {
	port, err := process.FreePorts(1) // Not one of the kernel's: a client could take it while connections are refused.
	if err != nil {
		return nil, fmt.Errorf("cannot start proxy: %w", err)
	}
	l, err := net.Listen("tcp", process.Loopback(port[0]))
	if err != nil {
		return nil, fmt.Errorf("cannot start proxy: %w", err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve(l)
	return p, nil
}

// Set changes the mode, of open connections too.
func (p *Proxy) Set(m ProxyMode) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("cannot set mode of proxy: it is closed")
	}
	p.mode = m
	p.wake()
	if m == Refuse {
		p.unlisten()
		p.cut()
		return nil
	}
	if p.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen again: %w", err)
	}
	p.serve(l)
	return nil
}

// Slow holds every chunk of bytes back for a while, in each direction. Zero ends it.
func (p *Proxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
	p.wake()
}

// Cut drops all connections that are open now. What they carried may have arrived or not.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// Accepted returns how many connections there have been.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Close ends the proxy and all its connections, and waits for them. It is idempotent.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.wake()
	p.unlisten()
	p.cut()
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

// wake, unlisten, cut and serve are called with mu held.

func (p *Proxy) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) unlisten() {
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

func (p *Proxy) cut() {
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // A reset, as when a machine has restarted: no goodbye.
		}
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) serve(l net.Listener) {
	p.listener = l
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // It was closed.
			}
			p.running.Go(func() { p.connect(c) })
		}
	})
}

func (p *Proxy) connect(client net.Conn) {
	if !p.keep(client, true) {
		return
	}
	defer p.drop(client)
	if !p.pass() { // One that hangs does not even ask the broker.
		return
	}
	broker, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(broker, false) {
		return
	}
	defer p.drop(broker)
	var both sync.WaitGroup
	both.Go(func() { p.copy(broker, client) })
	both.Go(func() { p.copy(client, broker) })
	both.Wait()
}

// keep remembers a connection, unless it came too late.
func (p *Proxy) keep(c net.Conn, accepted bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.mode == Refuse {
		_ = c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	if accepted {
		p.accepted++
	}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = c.Close()
	delete(p.conns, c)
}

// copy passes chunks on until either side ends.
func (p *Proxy) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.pass() {
				break
			}
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				if tcp, ok := to.(*net.TCPConn); ok {
					_ = tcp.CloseWrite() // The other direction goes on.
					return
				}
			}
			break
		}
	}
	_, _ = to.Close(), from.Close()
}

// pass waits until a chunk may go on. It reports false if it never may.
func (p *Proxy) pass() bool {
	start := time.Now()
	for {
		p.mu.Lock()
		mode, closed, changed := p.mode, p.closed, p.changed
		wait := p.delay - time.Since(start)
		p.mu.Unlock()
		switch {
		case closed || mode == Refuse:
			return false
		case mode == Hang:
			<-changed
		case wait <= 0:
			return true
		default:
			select {
			case <-changed:
			case <-time.After(wait):
			}
		}
	}
}
