package kafka

import (
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Configuration keys of brokers that say what cannot be asked for.
const (
	brokerRequestBytes  = "socket.request.max.bytes"
	brokerRemoteStorage = "remote.log.storage.system.enable"
	brokerOpen          = "allow.everyone.if.no.acl.found"
)

func limitNames() []string { return []string{brokerRequestBytes, brokerRemoteStorage, brokerOpen} }

// requestOverhead is what a request to append has beside the record.
const requestOverhead = 64 << 10

// limits is what the cluster was last seen to allow.
type limits struct {
	mu            sync.Mutex
	eventBytes    int64 // 0: not known.
	remoteStorage string
	open          bool // brokerOpen is set, to a value that brokers do not tell.
}

func (l *limits) learn(configs []kmsg.DescribeConfigsResponseResourceConfig) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range configs {
		switch {
		case c.Name == brokerOpen:
			l.open = true
		case c.Value == nil:
		case c.Name == brokerRequestBytes:
			if n, err := strconv.ParseInt(*c.Value, 10, 64); err == nil {
				l.eventBytes = n - requestOverhead
			}
		case c.Name == brokerRemoteStorage:
			l.remoteStorage = *c.Value
		}
	}
}

func (l *limits) get() (eventBytes int64, noRemoteStorage bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.eventBytes, l.remoteStorage == "false"
}

// opensWithoutRights reports whether the brokers may let everybody use a topic that nobody has a right to.
func (l *limits) opensWithoutRights() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}
