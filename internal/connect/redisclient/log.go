package redisclient

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// SetLogger says where go-redis writes what it has to say of itself, for the whole process. What concerns a caller is in the
// errors of its calls. Default: standard error.
func SetLogger(log func(message string)) { redis.SetLogger(logger(log)) }

type logger func(message string)

func (l logger) Printf(_ context.Context, format string, v ...any) { l(fmt.Sprintf(format, v...)) }
