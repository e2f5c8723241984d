package broker

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func startRedis(t *testing.T, o RedisOptions) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := StartRedis(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	return r
}

func (r *Redis) client(t *testing.T, cfg *tls.Config) *redis.Client {
	t.Helper()
	o := &redis.Options{Addr: r.Addr, Username: r.AdminUser, Password: r.AdminPassword, TLSConfig: cfg, MaxRetries: -1}
	if cfg != nil {
		o.Addr = r.TLSAddr
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisKeepsWhatItWasToldToKeep(t *testing.T) {
	cases := map[string]struct {
		reason             string
		opts               RedisOptions
		kill               bool
		wantKey, wantAlice bool
	}{
		"Nothing": {reason: "Without persistence a restart forgets data and users."},
		"AppendOnlyStop": {
			reason: "A stopped server has written everything.", opts: RedisOptions{AppendOnly: true}, wantKey: true,
		},
		"ACLFileKill": {
			reason: "Saved users survive even SIGKILL.", opts: RedisOptions{ACLFile: true}, kill: true, wantAlice: true,
		},
		"SyncedKill": {
			reason: "With fsync on every write, data survives SIGKILL.", kill: true, wantKey: true,
			opts: RedisOptions{AppendOnly: true, Config: map[string]string{"appendfsync": "always"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, r := t.Context(), startRedis(t, tc.opts)
			c := r.client(t, nil)
			if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if err := c.Do(ctx, "ACL", "SETUSER", "alice", "on", ">secret", "~*", "+@all").Err(); err != nil {
				t.Fatal(err)
			}
			if err := c.Do(ctx, "ACL", "SAVE").Err(); (err == nil) != tc.opts.ACLFile {
				t.Errorf("%s\nACL SAVE: %v, want success: %t", tc.reason, err, tc.opts.ACLFile)
			}
			if tc.kill {
				if err := r.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			c = r.client(t, nil)
			if got := c.Get(ctx, "k").Val() == "v"; got != tc.wantKey {
				t.Errorf("%s\nkey is there: %t, want %t", tc.reason, got, tc.wantKey)
			}
			if got := c.Do(ctx, "ACL", "GETUSER", "alice").Err() == nil; got != tc.wantAlice {
				t.Errorf("%s\nuser is there: %t, want %t", tc.reason, got, tc.wantAlice)
			}
		})
	}
}

func TestRedisRefusesTheUnauthenticated(t *testing.T) {
	r := startRedis(t, RedisOptions{})
	c := redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1})
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("Ping without password: %v, want NOAUTH", err)
	}
}

func TestRedisTLS(t *testing.T) {
	for name, require := range map[string]bool{"ServerOnly": false, "ClientCertificateRequired": true} {
		t.Run(name, func(t *testing.T) {
			r := startRedis(t, RedisOptions{TLS: true, RequireClientCert: require})
			ca, err := os.ReadFile(r.CAFile)
			if err != nil {
				t.Fatal(err)
			}
			cfg := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
			cfg.RootCAs.AppendCertsFromPEM(ca)
			if err := r.client(t, cfg).Ping(t.Context()).Err(); (err != nil) != require {
				t.Errorf("Ping without certificate: %v, want an error: %t", err, require)
			}
			pair, err := tls.LoadX509KeyPair(r.ClientCertFile, r.ClientKeyFile)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Certificates = []tls.Certificate{pair}
			if err := r.client(t, cfg).Ping(t.Context()).Err(); err != nil {
				t.Errorf("Ping with certificate: %v", err)
			}
			if err := r.client(t, &tls.Config{ServerName: "localhost"}).Ping(t.Context()).Err(); err == nil {
				t.Error("Ping without the CA: the server was trusted")
			}
		})
	}
}

func TestRedisInAUsedFolder(t *testing.T) {
	dir := t.TempDir()
	first := startRedis(t, RedisOptions{Dir: dir, AppendOnly: true, TLS: true})
	if err := first.client(t, nil).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := startRedis(t, RedisOptions{Dir: dir, AppendOnly: true, TLS: true})
	if got := second.client(t, nil).Get(t.Context(), "k").Val(); got != "v" || second.AdminPassword != first.AdminPassword {
		t.Errorf("second start: value %q, same password %t, want %q and the same", got, second.AdminPassword == first.AdminPassword, "v")
	}
}

func TestRedisSaysWhyItDoesNotStart(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	_, err := StartRedis(t.Context(), RedisOptions{Dir: t.TempDir(), Config: map[string]string{"no-such-directive": "yes"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("StartRedis: %v, want the line of the log that names the directive", err)
	}
}
