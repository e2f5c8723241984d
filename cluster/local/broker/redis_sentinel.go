package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

const (
	// RedisMasterName is what the Sentinels call the master.
	RedisMasterName = "events"

	// sentinelQuorum is how many of the three Sentinels must agree that the master is down.
	sentinelQuorum = 2

	// groupTimeout is how long servers may take to find each other and to replicate, when ctx has no deadline of its own.
	groupTimeout = 3 * time.Minute
)

// RedisGroupOptions say how the servers of a [RedisSentinel] or [RedisCluster] are configured. Only Dir is required.
type RedisGroupOptions struct {
	// Dir holds a folder for each server.
	Dir string

	// DownAfter is how long a server must be silent until the others take it to be down. Default: 3s, which a busy machine
	// may need.
	DownAfter time.Duration

	// SentinelPassword makes the Sentinels want the administrator's name and password too. Default: they want none.
	SentinelPassword bool

	// TLS, AppendOnly, ACLFile and Config are those of [RedisOptions], for each server. With TLS, servers and Sentinels
	// speak it among themselves, and tell clients of nothing else.
	TLS, AppendOnly, ACLFile bool
	Config                   map[string]string
}

func (o RedisGroupOptions) downAfter() time.Duration {
	if o.DownAfter > 0 {
		return o.DownAfter
	}
	return 3 * time.Second
}

// RedisSentinel is a master with two replicas, which three Sentinels watch. The administrator has the same password
// everywhere. Its methods must not be called concurrently.
type RedisSentinel struct {
	Nodes     []*Redis // The first is the master, until a failover.
	Sentinels []*Sentinel
}

// StartRedisSentinel starts all of them, and returns when the replicas have the master's data and the Sentinels agree.
func StartRedisSentinel(ctx context.Context, o RedisGroupOptions) (_ *RedisSentinel, err error) {
	s := &RedisSentinel{}
	defer func() {
		if err != nil {
			_ = s.Stop()
		}
	}()
	for i := range 3 {
		node, err := startMember(ctx, o, i, s.Nodes, s.replicate)
		if err != nil {
			return nil, err
		}
		s.Nodes = append(s.Nodes, node)
	}
	for i := range 3 {
		var sentinel *Sentinel
		err := tryPorts(func() (err error) {
			sentinel, err = startSentinel(ctx, o, i, s.Nodes[0])
			return err
		})
		if err != nil {
			return nil, err
		}
		s.Sentinels = append(s.Sentinels, sentinel)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, groupTimeout, fmt.Errorf("the Sentinels do not agree after %s", groupTimeout))
	defer cancel()
	for _, sentinel := range s.Sentinels {
		if err := sentinel.proc.WaitReady(ctx, func(ctx context.Context) error { return sentinel.agree(ctx, 2, 2) }); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// replicate returns the configuration of the next server: the first has no master.
func (s *RedisSentinel) replicate() (map[string]string, error) {
	if len(s.Nodes) == 0 {
		return nil, nil //nolint:nilnil // Nothing is a configuration.
	}
	return map[string]string{"replicaof": "127.0.0.1 " + fmt.Sprint(s.Nodes[0].replicationPort())}, nil
}

// tryPorts starts something on free ports again if others have taken these in the same moment.
func tryPorts(start func() error) (err error) {
	for range 5 {
		if err = start(); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
	return err
}

// replicationPort is where other servers find this one.
func (r *Redis) replicationPort() int {
	if r.opts.TLS {
		return r.TLSPort
	}
	return r.Port
}

// startMember starts a server with the password and the authority of those that are there.
func startMember(ctx context.Context, o RedisGroupOptions, i int, others []*Redis, config func() (map[string]string, error)) (r *Redis, err error) {
	if o.Dir == "" {
		return nil, errors.New("cannot start redis-server: Dir is required")
	}
	dir := filepath.Join(o.Dir, fmt.Sprintf("redis-%d", i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create folder of redis-server: %w", err)
	}
	password, err := keepPassword(filepath.Join(o.Dir, "admin-password"))
	if err == nil {
		err = writeOnce(filepath.Join(dir, "admin-password"), []byte(password))
	}
	if err == nil && o.TLS && len(others) > 0 {
		err = os.CopyFS(filepath.Join(dir, "tls"), os.DirFS(filepath.Dir(others[0].CAFile)))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot start redis-server: %w", err)
	}
	// A master can become a replica, so that each knows how to be one.
	all := map[string]string{"masteruser": RedisAdminUser, "masterauth": password, "repl-diskless-sync-delay": "0"}
	if o.TLS {
		all["tls-replication"] = "yes"
	}
	err = tryPorts(func() error {
		own, err := config()
		if err != nil {
			return err
		}
		maps.Copy(all, own)
		maps.Copy(all, o.Config)
		r, err = StartRedis(ctx, RedisOptions{Dir: dir, TLS: o.TLS, AppendOnly: o.AppendOnly, ACLFile: o.ACLFile, Config: all})
		return err
	})
	return r, err
}

// SentinelAddrs returns where the Sentinels are: their TLS ports, if they have any.
func (s *RedisSentinel) SentinelAddrs() (addrs []string) {
	for _, sentinel := range s.Sentinels {
		addrs = append(addrs, sentinel.Addr)
	}
	return addrs
}

// Stop ends all of them. It is idempotent.
func (s *RedisSentinel) Stop() error {
	var errs []error
	for _, sentinel := range s.Sentinels { // First, or they would fail over what stops.
		errs = append(errs, sentinel.Stop())
	}
	for _, node := range s.Nodes {
		errs = append(errs, node.Kill())
	}
	return errors.Join(errs...)
}

// Sentinel is a running Redis Sentinel. Its methods must not be called concurrently.
type Sentinel struct {
	Addr string // host:port

	plain          string // host:port without TLS.
	user, password string
	spec           process.Spec
	proc           *process.Process
}

func startSentinel(ctx context.Context, o RedisGroupOptions, i int, master *Redis) (*Sentinel, error) {
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(filepath.Dir(master.Dir), fmt.Sprintf("sentinel-%d", i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create folder of Sentinel: %w", err)
	}
	s := &Sentinel{plain: process.Loopback(ports[0])}
	s.Addr = s.plain
	if o.TLS {
		s.Addr = process.Loopback(ports[1])
	}
	conf := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(conf, []byte(s.config(o, dir, ports, master)), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write sentinel.conf: %w", err)
	}
	s.spec = process.Spec{
		Name: "sentinel", Path: master.program, Args: []string{conf, "--sentinel"}, Dir: dir, LogFile: filepath.Join(dir, "sentinel.log"),
	}
	return s, s.start(ctx)
}

func (s *Sentinel) config(o RedisGroupOptions, dir string, ports []int, master *Redis) string {
	down := o.downAfter()
	lines := []string{
		"bind 127.0.0.1", fmt.Sprintf("port %d", ports[0]), "dir " + dir,
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", RedisMasterName, master.replicationPort(), sentinelQuorum),
		fmt.Sprintf("sentinel auth-user %s %s", RedisMasterName, master.AdminUser),
		fmt.Sprintf("sentinel auth-pass %s %s", RedisMasterName, master.AdminPassword),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", RedisMasterName, down.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", RedisMasterName, 10*down.Milliseconds()),
	}
	if o.SentinelPassword {
		s.user, s.password = master.AdminUser, master.AdminPassword
		lines = append(lines, "user default off", "sentinel sentinel-user "+s.user, "sentinel sentinel-pass "+s.password, master.users()[1])
	}
	if o.TLS {
		lines = append(lines, fmt.Sprintf("tls-port %d", ports[1]), "tls-replication yes", "tls-auth-clients no",
			"tls-ca-cert-file "+master.CAFile, "tls-cert-file "+master.ServerCertFile, "tls-key-file "+master.ServerKeyFile)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *Sentinel) start(ctx context.Context) (err error) {
	if s.proc, err = process.Start(s.spec); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer after %s", startTimeout))
	defer cancel()
	err = s.proc.WaitReady(ctx, func(ctx context.Context) error {
		_, err := s.say(ctx, "PING")
		return err
	})
	if err != nil {
		_ = s.proc.Kill()
	}
	return err
}

func (s *Sentinel) say(ctx context.Context, command string) (string, error) {
	return say(ctx, s.plain, s.user, s.password, command)
}

// agree reports whether the Sentinel knows as many others as that, and replicas that follow the master.
func (s *Sentinel) agree(ctx context.Context, others, replicas int) error {
	if _, err := s.say(ctx, "SENTINEL CKQUORUM "+RedisMasterName); err != nil {
		return err
	}
	for command, want := range map[string]int{"SENTINEL SENTINELS ": others, "SENTINEL REPLICAS ": replicas} {
		got, err := s.say(ctx, command+RedisMasterName)
		if err != nil {
			return err
		}
		if n := strings.Count(got, "master-link-status\nok\n"); command == "SENTINEL REPLICAS " && n < want {
			return fmt.Errorf("%d replicas follow the master, want %d", n, want)
		}
		if n := strings.Count(got, "last-ok-ping-reply\n"); n < want {
			return fmt.Errorf("%s: %d, want %d", strings.TrimSpace(command), n, want)
		}
	}
	return nil
}

// Stop ends the Sentinel. It is idempotent.
func (s *Sentinel) Stop() error { return s.proc.Kill() }

// Restart starts the Sentinel again, with what it has learned; it is stopped first if it runs.
func (s *Sentinel) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Process returns the running Sentinel.
func (s *Sentinel) Process() *process.Process { return s.proc }
