// Package broker starts real brokers on this machine's loopback, for tests and for the local control plane.
// [StartRedis] runs redis-server, [StartKafka] a Kafka cluster of one or more nodes, and [StartPulsar] Pulsar standalone.
//
//	r, err := broker.StartRedis(ctx, broker.RedisOptions{Dir: t.TempDir(), TLS: true})
//	defer r.Stop()
//	client := redis.NewClient(&redis.Options{Addr: r.Addr, Username: r.AdminUser, Password: r.AdminPassword})
//
// A broker dies with the process that started it, unless it is Detached.
package broker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// RedisAdminUser is the user with all rights. The user "default" is off.
const RedisAdminUser = "admin"

// startTimeout is how long a broker may take until it answers, when ctx has no deadline of its own.
const startTimeout = 2 * time.Minute

// RedisOptions say how redis-server is configured. Only Dir is required.
type RedisOptions struct {
	// Dir holds data, configuration, certificates and log. A server started in a Dir that was used before has the same
	// data, password and certificates.
	Dir string

	// Port and TLSPort: default a free one each.
	Port, TLSPort int

	// TLS opens a second port with TLS 1.2 and 1.3, a certificate for localhost and 127.0.0.1, and a private CA.
	TLS bool

	// RequireClientCert makes the TLS port refuse clients without a certificate of the same CA.
	RequireClientCert bool

	// AppendOnly persists every write (AOF, fsync each second). Default: nothing is persisted.
	AppendOnly bool

	// ACLFile keeps users in a file, so that ACL SAVE works. Default: users live in memory, and are gone after a restart.
	ACLFile bool

	// Config is added to redis.conf, and wins over everything above.
	Config map[string]string

	// LogFile: default redis.log in Dir.
	LogFile string

	// Detached lets the server outlive the process that starts it. PIDFile and Mark: see process.Spec.
	Detached bool
	PIDFile  string
	Mark     string
}

// Redis is a running redis-server. Its fields are constant; its methods must not be called concurrently.
type Redis struct {
	Addr    string // host:port, plain text.
	TLSAddr string // host:port, "" without TLS.
	Port    int
	TLSPort int

	AdminUser     string
	AdminPassword string

	TLSFiles

	Dir     string
	LogFile string

	opts    RedisOptions
	program string
	proc    *process.Process
}

// StartRedis starts redis-server and returns when it answers.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	if o.Dir == "" {
		return nil, errors.New("cannot start redis-server: Dir is required")
	}
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("cannot start redis-server: it is not installed; on Debian: apt-get install redis-server")
	}
	r, err := newRedis(o, program)
	if err != nil {
		return nil, err
	}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// AttachRedis returns the server that an earlier StartRedis with the same options, ports and PIDFile has left running.
// The error wraps os.ErrNotExist if there is none.
func AttachRedis(o RedisOptions) (*Redis, error) {
	p, err := process.Attach(process.Spec{Name: "redis", LogFile: o.LogFile, PIDFile: o.PIDFile})
	if err != nil {
		return nil, err
	}
	program, _ := exec.LookPath("redis-server") // For Restart, which says so if it is gone.
	r, err := newRedis(o, program)
	if err != nil {
		return nil, err
	}
	r.proc = p
	return r, nil
}

func newRedis(o RedisOptions, program string) (*Redis, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot start redis-server: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create folder of redis-server: %w", err)
	}
	r := &Redis{Dir: dir, LogFile: o.LogFile, AdminUser: RedisAdminUser, opts: o, program: program}
	if r.LogFile == "" {
		r.LogFile = filepath.Join(dir, "redis.log")
	}
	return r, r.prepare()
}

// prepare chooses ports and writes whatever is not there yet: password, certificates, ACL file.
func (r *Redis) prepare() error {
	ports, err := process.FreePorts(2)
	if err != nil {
		return err
	}
	r.Port, r.TLSPort = r.opts.Port, r.opts.TLSPort
	if r.Port == 0 {
		r.Port = ports[0]
	}
	r.Addr = process.Loopback(r.Port)
	if r.AdminPassword, err = keepPassword(filepath.Join(r.Dir, "admin-password")); err != nil {
		return err
	}
	if r.opts.TLS {
		if r.TLSPort == 0 {
			r.TLSPort = ports[1]
		}
		r.TLSAddr = process.Loopback(r.TLSPort)
		if r.TLSFiles, err = keepTLS(filepath.Join(r.Dir, "tls"), "redis", "redis-client"); err != nil {
			return err
		}
	}
	if r.opts.ACLFile {
		return writeOnce(r.aclFile(), []byte(strings.Join(r.users(), "\n")+"\n"))
	}
	return nil
}

func (r *Redis) aclFile() string { return filepath.Join(r.Dir, "users.acl") }

// users are the ACL rules that the server begins with. The digest keeps the password out of process listings and logs.
func (r *Redis) users() []string {
	return []string{
		// Off, and yet with rights: the append-only file is loaded with them, and what a script wrote is dropped if
		// they do not cover it (redis/redis#14541).
		"user default off resetpass ~* &* +@all",
		fmt.Sprintf("user %s on #%x ~* &* +@all", r.AdminUser, sha256.Sum256([]byte(r.AdminPassword))),
	}
}

// config renders redis.conf: one directive a line, users last.
func (r *Redis) config() string {
	c := map[string]string{
		"bind": "127.0.0.1", "port": fmt.Sprint(r.Port), "dir": r.Dir, "daemonize": "no",
		"save": `""`, "appendonly": yesNo(r.opts.AppendOnly), "maxmemory-policy": "noeviction",
	}
	if r.opts.TLS {
		c["tls-port"] = fmt.Sprint(r.TLSPort)
		c["tls-ca-cert-file"], c["tls-cert-file"], c["tls-key-file"] = r.CAFile, r.ServerCertFile, r.ServerKeyFile
		c["tls-auth-clients"] = yesNo(r.opts.RequireClientCert)
	}
	if r.opts.ACLFile {
		c["aclfile"] = r.aclFile()
	}
	maps.Copy(c, r.opts.Config)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%s %s\n", k, c[k])
	}
	if !r.opts.ACLFile { // Redis refuses to have users in both places.
		fmt.Fprintln(&b, strings.Join(r.users(), "\n"))
	}
	return b.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (r *Redis) start(ctx context.Context) error {
	conf := filepath.Join(r.Dir, "redis.conf")
	if err := os.WriteFile(conf, []byte(r.config()), 0o600); err != nil {
		return fmt.Errorf("cannot write redis.conf: %w", err)
	}
	p, err := process.Start(process.Spec{
		Name: "redis", Path: r.program, Args: []string{conf}, Dir: r.Dir, LogFile: r.LogFile,
		Detached: r.opts.Detached, PIDFile: r.opts.PIDFile, Mark: r.opts.Mark,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer after %s", startTimeout))
	defer cancel()
	if err := p.WaitReady(ctx, r.Ping); err != nil {
		_ = p.Kill()
		return err
	}
	r.proc = p
	return nil
}

// PID returns the id of the server's process.
func (r *Redis) PID() int { return r.proc.PID() }

// Stop ends the server the way an operator does: it may still write its data. It is idempotent.
func (r *Redis) Stop() error { return stop(r.proc, 0) }

// Kill ends the server with SIGKILL: whatever is not on disk is lost. It is idempotent.
func (r *Redis) Kill() error { return r.proc.Kill() }

// Pause freezes the server: it keeps its connections, and answers nothing. It is idempotent.
func (r *Redis) Pause() error { return r.proc.Signal(syscall.SIGSTOP) }

// Resume ends a Pause. It is idempotent.
func (r *Redis) Resume() error { return r.proc.Signal(syscall.SIGCONT) }

// Restart starts the server again on the same ports, with what is left of its data; it is stopped first if it runs.
func (r *Redis) Restart(ctx context.Context) error {
	if err := r.Stop(); err != nil {
		return err
	}
	return r.start(ctx)
}

// Process returns the running server.
func (r *Redis) Process() *process.Process { return r.proc }
