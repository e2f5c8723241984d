package connect

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

//nolint:gochecknoglobals // Client libraries log for the whole process.
var clientLog atomic.Pointer[func(message string)]

// SetLogger says where the client libraries write what they have to say of themselves, for the whole process. What
// concerns a caller is in the errors of its calls. Default: standard error for go-redis, and nowhere for the others.
func SetLogger(log func(message string)) {
	redis.SetLogger(logger(log))
	clientLog.Store(&log)
}

type logger func(message string)

func (l logger) Printf(_ context.Context, format string, v ...any) { l(fmt.Sprintf(format, v...)) }

// logWriter writes lines to where SetLogger says.
type logWriter struct{}

func (logWriter) Write(line []byte) (int, error) {
	if log := clientLog.Load(); log != nil {
		(*log)(strings.TrimRight(string(line), "\n"))
	}
	return len(line), nil
}
