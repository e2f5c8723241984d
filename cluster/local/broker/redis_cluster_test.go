package broker

import (
	"errors"
	"strings"
	"testing"
)

func TestRedisClusterPromotesAReplica(t *testing.T) {
	needRedis(t)
	for name, o := range map[string]RedisGroupOptions{"Plain": {ACLFile: true}, "TLS": {TLS: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Dir = t.TempDir()
			c, err := StartRedisCluster(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Stop() })
			if err := c.Nodes[0].Kill(); err != nil {
				t.Fatal(err)
			}
			replica := c.Nodes[clusterMasters]
			eventually(t, "the replica to be a master", func() error {
				role, err := replica.say(t.Context(), "ROLE")
				if err == nil && !strings.HasPrefix(role, "master\n") {
					err = errors.New("it is still a replica")
				}
				return err
			})
			if err := c.WaitReady(t.Context()); err != nil {
				t.Error(err)
			}
			if err := c.Nodes[0].Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := c.AddNode(t.Context()); err != nil {
				t.Error(err)
			}
			if got, want := len(c.Addrs()), 7; got != want {
				t.Errorf("%d addresses, want %d", got, want)
			}
		})
	}
}
