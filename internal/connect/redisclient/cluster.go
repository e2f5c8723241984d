package redisclient

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// newClusterClient returns a client that follows MOVED and ASK, and repeats no single command whose reply was lost, which
// go-redis does for clusters.
func newClusterClient(o *redis.ClusterOptions) *redis.ClusterClient {
	c := redis.NewClusterClient(o)
	c.OnNewNode(func(node *redis.Client) { node.AddHook(once{}) })
	return c
}

// once is a hook that keeps go-redis from sending a command again unless it is certain that nobody has carried it out.
type once struct{}

func (once) DialHook(next redis.DialHook) redis.DialHook { return next }

func (once) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (once) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if _, replied := errors.AsType[redis.Error](err); replied {
			return err
		}
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return err
		}
		if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed) {
			return err
		}
		return lostReplyError{err}
	}
}

// lostReplyError hides from go-redis that the connection broke, which it would take for a reason to try again.
type lostReplyError struct{ cause error }

func (e lostReplyError) Error() string { return "the reply was lost: " + e.cause.Error() }
