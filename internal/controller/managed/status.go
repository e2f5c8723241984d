package managed

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A Pacer says when counts may enter a resource's status: at most once per interval, since every write of a status
// reconciles whatever composes the resource. It may be used concurrently.
type Pacer struct {
	Interval time.Duration

	mu   sync.Mutex
	last map[types.UID]time.Time
}

// Due reports whether an interval has passed since Due last returned true for the resource.
func (p *Pacer) Due(uid types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.last[uid]; ok && time.Since(last) < p.Interval {
		return false
	}
	if p.last == nil {
		p.last = map[types.UID]time.Time{}
	}
	p.last[uid] = time.Now()
	return true
}

// Forget ends the pacing of a resource.
func (p *Pacer) Forget(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, uid)
}

// Rounded returns n with two significant digits, rounded down, so that what is not zero does not become zero.
func Rounded(n int64) int64 {
	unit := int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}
