package broker

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func needRedis(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
}

// eventually waits until what returns nil.
func eventually(t *testing.T, waitingFor string, what func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for {
		err := what()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited for %s: %v", waitingFor, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestRedisSentinelPromotesAReplica(t *testing.T) {
	needRedis(t)
	for name, o := range map[string]RedisGroupOptions{
		"Plain":    {ACLFile: true},
		"Password": {SentinelPassword: true},
		"TLS":      {TLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Dir = t.TempDir()
			s, err := StartRedisSentinel(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Stop() })
			if o.SentinelPassword {
				if _, err := say(t.Context(), s.Sentinels[0].plain, "", "", "SENTINEL MASTERS"); err == nil {
					t.Error("a Sentinel answers without a password")
				}
			}
			if _, err := s.Nodes[0].say(t.Context(), "SET k v"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the replicas to have the key", func() error { return has(t, s.Nodes[1], s.Nodes[2]) })
			old := s.Nodes[0]
			if err := old.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "another master", func() error {
				for _, sentinel := range s.Sentinels {
					addr, err := sentinel.say(t.Context(), "SENTINEL GET-MASTER-ADDR-BY-NAME "+RedisMasterName)
					if err != nil || strings.Contains(addr, fmt.Sprint(old.replicationPort())) {
						return fmt.Errorf("the master is %q, %w", addr, err)
					}
				}
				return nil
			})
			if err := has(t, s.Nodes[1], s.Nodes[2]); err != nil {
				t.Error(err)
			}
			if err := old.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the old master to follow the new one", func() error {
				for _, sentinel := range s.Sentinels {
					if err := sentinel.agree(t.Context(), 2, 2); err != nil {
						return err
					}
				}
				return has(t, old)
			})
		})
	}
}

// has reports whether the servers have the key.
func has(t *testing.T, nodes ...*Redis) error {
	t.Helper()
	for _, node := range nodes {
		if v, err := node.say(t.Context(), "GET k"); err != nil || v != "v\n" {
			return errors.Join(fmt.Errorf("%s has %q", node.Addr, v), err)
		}
	}
	return nil
}
