// Package postgrestest starts a real PostgreSQL for tests.
package postgrestest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// deadline bounds how long the server may take to start or to stop.
const deadline = 2 * time.Minute

// Server is a PostgreSQL that ends with the test.
type Server struct {
	port      int
	databases atomic.Int64
}

// Start makes a cluster in a temporary folder, and starts its server.
func Start(t *testing.T) *Server {
	t.Helper()
	initdb, postgres := program(t, "initdb"), program(t, "postgres")
	ports, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{port: ports[0]}
	dir := t.TempDir()
	own(t, dir)
	data := filepath.Join(dir, "data")
	out, err := as(t, exec.CommandContext(t.Context(), initdb, "-D", data, "-U", "postgres", "--auth=trust", "--no-sync")).CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := as(t, exec.Command(postgres, "-D", data, "-p", strconv.Itoa(s.port), "-h", "127.0.0.1", "-k", "", "-F"))
	log, err := os.Create(filepath.Join(dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatalf("cannot start postgres: %v", err)
	}
	t.Cleanup(func() { stop(t, server) })
	s.await(t, log.Name())
	return s
}

// program finds a program of the server, which distributions keep out of the way.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		t.Skipf("%s is not installed; on Debian: apt-get install postgresql", name)
	}
	return slices.Max(found)
}

// own gives the folder to the user that the server runs as: it refuses to run as root.
func own(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	c := credential(t)
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
		t.Fatal(err)
	}
}

func credential(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root: %v", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func as(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = credential(t)
	}
	return cmd
}

// stop ends the server at once, and whoever is connected to it.
func stop(t *testing.T, server *exec.Cmd) {
	t.Helper()
	_ = server.Process.Signal(syscall.SIGINT)
	kill := time.AfterFunc(deadline, func() { _ = server.Process.Kill() })
	defer kill.Stop()
	_ = server.Wait()
}

func (s *Server) await(t *testing.T, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		c, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			_ = c.Close(ctx)
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			out, _ := os.ReadFile(log)
			t.Fatalf("waited %s for postgres: %v\n%s", deadline, err, out)
		}
	}
}

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Database makes an empty database, and returns a pool of connections to it.
func (s *Server) Database(t *testing.T) *pgxpool.Pool {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	c, err := pgx.Connect(t.Context(), s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(t.Context())) }()
	if _, err := c.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), s.url(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
