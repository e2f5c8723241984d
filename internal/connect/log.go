package connect

import (
	"strings"
	"sync/atomic"
)

//nolint:gochecknoglobals // Client libraries log for the whole process.
var clientLog atomic.Pointer[func(message string)]

// SetLogger says where the clients for Kafka and Pulsar write what they have to say of themselves, for the whole process. What
// concerns a caller is in the errors of its calls. Default: nowhere.
func SetLogger(log func(message string)) { clientLog.Store(&log) }

// LogWriter writes lines to where SetLogger says.
type LogWriter struct{}

// Write implements [io.Writer].
func (LogWriter) Write(line []byte) (int, error) {
	if log := clientLog.Load(); log != nil {
		(*log)(strings.TrimRight(string(line), "\n"))
	}
	return len(line), nil
}
