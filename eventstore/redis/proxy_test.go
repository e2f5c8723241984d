package redis

import (
	"bytes"
	"io/fs"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// proxy stands between a client and the server, and breaks what it is told to.
type proxy struct {
	addr   string
	target string

	mu     sync.Mutex
	frozen chan struct{} // Nothing passes until it is closed; nil: all passes.
	cut    int           // So many replies that lost picks are lost yet, with their connections.
	lost   func(request, reply []byte) bool
	conns  []net.Conn
	wg     sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{addr: l.Addr().String(), target: target}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.thaw()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// loseReplies loses the next n replies to a script that contain text, with their connections.
func (p *proxy) loseReplies(n int, script *redis.Script, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.lost = n, func(request, reply []byte) bool {
		// A pipeline sends the script, and not its hash. Its first line is enough to know it.
		name := bytes.Contains(request, []byte(script.Hash())) || bytes.Contains(request, []byte(firstLine(script)))
		return name && bytes.Contains(reply, []byte(text)) && !bytes.HasPrefix(reply, []byte("-NOSCRIPT"))
	}
}

// loseTransactions loses the next n replies to transactions that contain text, with their connections.
func (p *proxy) loseTransactions(n int, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.lost = n, func(request, reply []byte) bool {
		return bytes.Contains(request, []byte("\r\nexec\r\n")) && bytes.Contains(reply, []byte(text))
	}
}

// toLose is how many replies are yet to be lost.
func (p *proxy) toLose() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

func firstLine(script *redis.Script) string {
	files, _ := fs.Glob(luaFiles, "lua/*.lua")
	for _, f := range files {
		b, _ := luaFiles.ReadFile(f)
		if redis.NewScript(string(b)).Hash() == script.Hash() {
			line, _, _ := strings.Cut(string(b), "\n")
			return line
		}
	}
	panic("no such script")
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	var request []byte // What was sent since the last reply. Guarded by mu.
	p.wg.Go(func() {
		p.copy(server, client, func(b []byte) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			request = append(request, b...)
			return true
		})
	})
	p.copy(client, server, func(b []byte) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		sent := request
		request = nil
		if p.cut == 0 || !p.lost(sent, b) {
			return true
		}
		p.cut--
		return false
	})
}

func (p *proxy) copy(to, from net.Conn, pass func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		if frozen != nil {
			<-frozen
		}
		if !pass(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
