package redisclient

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// A Mode says how the servers of a Redis belong together. The zero value is one server.
type Mode string

// The modes beside one server.
const (
	ModeSentinel Mode = "sentinel" // A master with replicas, which Sentinels watch and promote.
	ModeCluster  Mode = "cluster"
)

// Config says how to reach Redis.
type Config struct {
	Mode Mode

	// Addresses as host:port: of the server, of the Sentinels, or of some servers of the cluster.
	Addresses []string
	Username  string // Default: the servers' user "default".
	Password  string
	Sentinel  Sentinel
	TLS       *connect.TLS // nil: plain text. Sentinels are reached in the same way as servers.

	// Renew returns the settings as they are now, and is asked for each connection: addresses, user, password and TLS may
	// change, the mode and the master's name stay. nil: all stay. It may be called concurrently.
	Renew func() (Config, error) `json:"-"`

	// PoolSize is how many connections are kept at most, to each server. Default: 10 for each processor.
	PoolSize int
}

// Sentinel says which master the Sentinels watch, and how to log in to them.
type Sentinel struct {
	Master   string
	Username string // Default: the Sentinels' user "default".
	Password string // Empty: they want none.
}

// Address names the Redis in errors and in status: where it is as far as the configuration says.
func (r Config) Address() string { return strings.Join(r.Addresses, ",") }

// Client returns a client that connects when it is first used, reconnects by itself, and follows the master and the slots.
// The caller closes it.
func (r Config) Client() (redis.UniversalClient, error) {
	o, err := r.options("")
	if err != nil {
		return nil, err
	}
	switch r.Mode {
	case ModeSentinel:
		return redis.NewFailoverClient(r.failoverOptions(o)), nil
	case ModeCluster:
		return newClusterClient(r.clusterOptions(o)), nil
	default:
		o.Addr = r.Addresses[0]
		return redis.NewClient(o), nil
	}
}

// Server returns a client for one server alone, in the way of Client.
func (r Config) Server(address string) (*redis.Client, error) {
	o, err := r.options(address)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o), nil
}

// SentinelAt returns a client for one Sentinel, in the way of Client.
func (r Config) SentinelAt(address string) (*redis.Client, error) {
	r.Username, r.Password = r.Sentinel.Username, r.Sentinel.Password
	return r.Server(address)
}

func (r Config) options(address string) (*redis.Options, error) {
	if len(r.Addresses) == 0 || r.Addresses[0] == "" {
		return nil, errors.New("cannot connect to Redis: no address is given")
	}
	if r.Mode == ModeSentinel && r.Sentinel.Master == "" {
		return nil, errors.New("cannot connect to Redis: the name of the master that the Sentinels watch is not given")
	}
	if m := r.Mode; m != "" && m != ModeSentinel && m != ModeCluster {
		return nil, fmt.Errorf("cannot connect to Redis: %q is no mode: it must be %s or %s, or empty for one server", m, ModeSentinel, ModeCluster)
	}
	o := &redis.Options{
		Addr:     address,
		Username: r.Username,
		Password: r.Password,
		PoolSize: r.PoolSize,
		// A command whose reply was lost may have been carried out. Whoever sends it knows whether to repeat it.
		MaxRetries:  -1,
		DialTimeout: 5 * time.Second,
		// Whoever calls tries again, and wants to know why it failed: five attempts outlast a short context, whose
		// error then hides the reason.
		DialerRetries: 1,
		ReadTimeout:   10 * time.Second,
		WriteTimeout:  10 * time.Second,
		// The context of a call bounds it, also while it waits for the server.
		ContextTimeoutEnabled: true,
		// Applications' users may call neither CLIENT SETINFO nor CLIENT MAINT_NOTIFICATIONS.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if r.TLS != nil {
		c, err := r.TLS.Config()
		if err != nil {
			return nil, err
		}
		o.TLSConfig = c
	}
	if r.Renew != nil {
		o.Dialer, o.CredentialsProviderContext = r.dial, r.login
	}
	return o, nil
}

func (r Config) failoverOptions(o *redis.Options) *redis.FailoverOptions {
	f := &redis.FailoverOptions{
		MasterName: r.Sentinel.Master, SentinelAddrs: r.Addresses,
		SentinelUsername: r.Sentinel.Username, SentinelPassword: r.Sentinel.Password,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		PoolSize: o.PoolSize, MaxRetries: o.MaxRetries, DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		DisableIdentity: o.DisableIdentity, Dialer: o.Dialer, CredentialsProviderContext: o.CredentialsProviderContext,
	}
	if r.Renew != nil && r.Sentinel.Password != "" {
		f.SentinelUsername, f.SentinelPassword, f.OnConnect = "", "", r.loginToSentinel
	}
	return f
}

func (r Config) clusterOptions(o *redis.Options) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:    r.Addresses,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		PoolSize: o.PoolSize, MaxRetries: o.MaxRetries, DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		DisableIdentity: o.DisableIdentity, MaintNotificationsConfig: o.MaintNotificationsConfig,
		Dialer: o.Dialer, CredentialsProviderContext: o.CredentialsProviderContext,
		// Else each command asks for COMMAND first, which applications' users may not call.
		DisableRoutingPolicies:     true,
		ClusterStateReloadInterval: 10 * time.Second,
	}
}
