package redis

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestHealthSaysWhatIsWrong(t *testing.T) {
	f := start(t, broker.RedisOptions{TLS: true, ACLFile: true})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	const secret = "not-the-password"
	admin := f.config(f.AdminUser, f.AdminPassword)
	cases := map[string]struct {
		reason string
		config func(c redisclient.Config) redisclient.Config
		silent bool // Nobody will ever answer.
		want   string
	}{
		"WrongPassword": {
			reason: "A person must correct the Secret.",
			config: func(c redisclient.Config) redisclient.Config { c.Password = secret; return c },
			want:   "cannot reach Redis at " + f.Addr + ": the server refuses the user name or the password: correct the credentials",
		},
		"NoPassword": {
			reason: "A server that wants a password says so in another way.",
			config: func(c redisclient.Config) redisclient.Config { c.Username, c.Password = "", ""; return c },
			want:   "cannot reach Redis at " + f.Addr + ": the server refuses the user name or the password: correct the credentials",
		},
		"Refused": {
			reason: "Nobody listens.",
			config: func(c redisclient.Config) redisclient.Config { c.Addresses = []string{nobody}; return c },
			want:   "cannot reach Redis at " + nobody + ": the connection is refused: is the server running, and the port right?",
		},
		"Silent": {
			reason: "Somebody listens and says nothing.",
			config: func(c redisclient.Config) redisclient.Config {
				c.Addresses = []string{silent.Addr().String()}
				return c
			},
			silent: true,
			want:   "cannot reach Redis at " + silent.Addr().String() + ": the server does not answer in time",
		},
		"NoSuchHost": {
			reason: "The name is wrong.",
			config: func(c redisclient.Config) redisclient.Config {
				c.Addresses = []string{"no-such-host.invalid:6379"}
				return c
			},
			want: `cannot reach Redis at no-such-host.invalid:6379: the host name "no-such-host.invalid" cannot be resolved`,
		},
		"PlainToTLS": {
			reason: "The port expects TLS.",
			config: func(c redisclient.Config) redisclient.Config { c.Addresses = []string{f.TLSAddr}; return c },
			want:   "cannot reach Redis at " + f.TLSAddr + ": the server closed the connection: if it expects TLS, set tls",
		},
		"TLSToPlain": {
			reason: "The port does not speak TLS.",
			config: func(c redisclient.Config) redisclient.Config { c.TLS = &connect.TLS{}; return c },
			silent: true,
			want:   "cannot reach Redis at " + f.Addr + ": the server does not answer in time: does it speak TLS on this port?",
		},
		"UnknownAuthority": {
			reason: "The CA is missing.",
			config: func(c redisclient.Config) redisclient.Config {
				c.Addresses, c.TLS = []string{f.TLSAddr}, &connect.TLS{}
				return c
			},
			want: "cannot reach Redis at " + f.TLSAddr + ": TLS failed: the server's certificate is signed by an unknown authority: set the CA that signed it",
		},
		"OtherName": {
			reason: "The certificate is another host's.",
			config: func(c redisclient.Config) redisclient.Config {
				c.Addresses, c.TLS = []string{f.TLSAddr}, &connect.TLS{CA: file(t, f.CAFile), ServerName: "elsewhere"}
				return c
			},
			want: "cannot reach Redis at " + f.TLSAddr + ": TLS failed: the server's certificate is not for this host: correct the address, or set the server name",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b, err := New(tc.config(admin))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for range 2 { // The same text for the same problem.
				patience := time.Minute
				if tc.silent {
					patience = 300 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				_, err := b.Health(ctx)
				cancel()
				if err == nil || err.Error() != tc.want {
					t.Errorf("%s\nHealth: %v\nwant:   %s", tc.reason, err, tc.want)
				}
				if errors.Unwrap(err) == nil {
					t.Errorf("%s\nthe cause is not there to be matched", tc.reason)
				}
			}
		})
	}
}

func TestClientCertificateIsMissing(t *testing.T) {
	f := start(t, broker.RedisOptions{TLS: true, RequireClientCert: true})
	_, err := f.tls(t, false).Health(t.Context())
	if err == nil || !strings.Contains(err.Error(), "if it wants a client certificate, set one") {
		t.Errorf("Health without a client certificate: %v", err)
	}
}

func TestReplicaTakesNoWrites(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	f.do(t, "REPLICAOF", "127.0.0.1", "1")
	d, c := f.store("orders")
	err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Changes: plan.Store(d, plan.ObservedStore{}, c).Changes, Password: "x"}})[0]
	if err == nil || !strings.Contains(err.Error(), "replica") {
		t.Errorf("ApplyStores: %v, want an error that names the replica", err)
	}
	if _, err := f.backend.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "replica") {
		t.Errorf("Health: %v, want an error that names the replica", err)
	}
}

func TestServerSettings(t *testing.T) {
	cases := map[string]struct {
		reason       string
		opts         broker.RedisOptions
		rules        []any // For the user default.
		wantWarnings int
		wantHazard   bool
		wantPersists bool
		want         string
	}{
		"Nothing":   {reason: "A server that keeps nothing is a warning.", wantWarnings: 1, want: "none: a restart loses everything"},
		"Snapshots": {reason: "A snapshot is something, and not all.", opts: broker.RedisOptions{Config: map[string]string{"save": "3600 1"}}, want: "snapshots: a crash loses what came after the last one"},
		"AppendOnly": {
			reason: "The usual one.", opts: broker.RedisOptions{AppendOnly: true}, wantPersists: true,
			want: "append-only file, synchronized every second",
		},
		"Evicting": {
			reason: "A server that may evict events gets no store.", wantHazard: true, wantPersists: true, wantWarnings: 1,
			opts: broker.RedisOptions{AppendOnly: true, Config: map[string]string{"maxmemory-policy": "allkeys-lru", "appendfsync": "always"}},
			want: "append-only file, synchronized with every write",
		},
		"DropsTransactions": {
			reason: "A server whose file is loaded without the right to write loses what scripts wrote.", wantWarnings: 1, wantHazard: true,
			opts: broker.RedisOptions{AppendOnly: true}, rules: []any{"-xadd"},
			want: "append-only file, of which a restart drops what scripts wrote",
		},
		"Volatile": {
			reason: "No key of ours has a time to live, so volatile-* evicts none.", wantPersists: true,
			opts: broker.RedisOptions{AppendOnly: true, Config: map[string]string{"maxmemory-policy": "volatile-lru", "appendfsync": "no"}},
			want: "append-only file, synchronized when the operating system does",
		},
		"Full": {
			reason: "Before the server refuses writes, somebody should know.", wantPersists: true, wantWarnings: 1,
			opts: broker.RedisOptions{AppendOnly: true, Config: map[string]string{"maxmemory": "1000000"}},
			want: "append-only file, synchronized every second",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := start(t, tc.opts)
			f.do(t, append([]any{"ACL", "SETUSER", "default"}, tc.rules...)...)
			h, err := f.backend.Health(t.Context())
			if err != nil || len(h.Warnings) != tc.wantWarnings {
				t.Errorf("%s\nHealth: %+v, %v, want %d warnings", tc.reason, h, err, tc.wantWarnings)
			}
			o := f.readStore(t, "orders")
			if o.Persistence != tc.want || o.Persists != tc.wantPersists || (len(o.Hazards) > 0) != tc.wantHazard {
				t.Errorf("%s\nobserved: %q, persists %t, hazards %v", tc.reason, o.Persistence, o.Persists, o.Hazards)
			}
		})
	}
}

func TestUsable(t *testing.T) {
	b := &Backend{config: redisclient.Config{Addresses: []string{"redis:6379"}}}
	for name, tc := range map[string]struct {
		reason string
		fields map[string]string
		want   bool
	}{
		"Seven":   {reason: "The oldest that has what we need.", fields: map[string]string{"redis_version": "7.0.0"}, want: true},
		"Ten":     {reason: "Versions are numbers and not texts.", fields: map[string]string{"redis_version": "10.1"}, want: true},
		"Six":     {reason: "It lacks EVAL_RO and selectors.", fields: map[string]string{"redis_version": "6.2.14"}},
		"None":    {reason: "Something else speaks the protocol.", fields: map[string]string{}},
		"Cluster": {reason: "Keys of one store would be on several servers.", fields: map[string]string{"redis_version": "7.2.0", "redis_mode": "cluster"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := b.usable(server{fields: tc.fields}, true); (err == nil) != tc.want {
				t.Errorf("%s\nusable: %v, want usable: %t", tc.reason, err, tc.want)
			}
		})
	}
}
