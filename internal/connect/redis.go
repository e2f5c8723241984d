package connect

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis says how to reach a standalone Redis server.
type Redis struct {
	Address  string // host:port
	Username string // Default: the server's user "default".
	Password string
	TLS      *TLS // nil: plain text

	// PoolSize is how many connections are kept at most. Default: 10 for each processor.
	PoolSize int
}

// Client returns a client that connects when it is first used, and reconnects by itself. The caller closes it.
func (r Redis) Client() (*redis.Client, error) {
	if r.Address == "" {
		return nil, errors.New("cannot connect to Redis: no address is given")
	}
	o := &redis.Options{
		Addr:     r.Address,
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
	return redis.NewClient(o), nil
}
