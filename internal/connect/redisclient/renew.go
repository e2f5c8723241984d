package redisclient

import (
	"context"
	"errors"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// dial connects with the settings of the moment. Of the addresses that go-redis asks for, those of the beginning may have
// been replaced; others were learned from Sentinels and servers.
func (r Config) dial(ctx context.Context, _, address string) (net.Conn, error) {
	now, err := r.Renew()
	if err != nil {
		return nil, connect.Untried(err)
	}
	if len(now.Addresses) == 0 {
		return nil, connect.Untried(errors.New("there is no address any more"))
	}
	i := slices.Index(r.Addresses, address)
	replaced := i >= 0 && !slices.Contains(now.Addresses, address)
	switch instead := now.Addresses[max(i, 0)%len(now.Addresses)]; {
	case r.Mode == "":
		return connect.Dial(ctx, now.Addresses[0], now.TLS)
	case !replaced:
		return connect.Dial(ctx, address, now.TLS)
	case r.Mode == ModeSentinel:
		return connect.Dial(ctx, instead, now.TLS)
	default: // A server of a cluster that is no longer named may still be one.
		conn, err := connect.Dial(ctx, address, now.TLS)
		if err != nil {
			conn, err = connect.Dial(ctx, instead, now.TLS)
		}
		return conn, err
	}
}

// login returns as whom to log in to a server.
func (r Config) login(context.Context) (username, password string, err error) {
	now, err := r.Renew()
	if err != nil {
		return "", "", connect.Untried(err)
	}
	return now.Username, now.Password, nil
}

// loginToSentinel logs in to a Sentinel, for which go-redis takes no more than one password. It is called for servers too,
// where it is [Redis.login] once more: only who has the same user on both says that Sentinels want one.
func (r Config) loginToSentinel(ctx context.Context, c *redis.Conn) error {
	now, err := r.Renew()
	if err != nil {
		return connect.Untried(err)
	}
	if now.Sentinel.Username == "" {
		return c.Auth(ctx, now.Sentinel.Password).Err()
	}
	return c.AuthACL(ctx, now.Sentinel.Username, now.Sentinel.Password).Err()
}
