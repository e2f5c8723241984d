package managed

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// tooSoon is how soon after a change the same one shows that it had no effect: drift comes back with the next refresh at
// the earliest.
const tooSoon = 2 * time.Second

// Repeats notices changes that a broker takes without an effect, so that they are made at the pace of failures, and not as
// fast as they are found again. The zero value is ready to use.
type Repeats struct {
	mu   sync.Mutex
	last map[types.UID]change
}

type change struct {
	text string
	at   time.Time
}

// Check notes that changes were made, and returns an error if they were made a moment ago already.
func (r *Repeats) Check(uid types.UID, changes string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.last[uid]
	if r.last == nil {
		r.last = map[types.UID]change{}
	}
	r.last[uid] = change{changes, time.Now()}
	if before.text == changes && time.Since(before.at) < tooSoon {
		return fmt.Errorf("the broker has taken a change twice, and shows nothing of it: %s: look whether something else there sets it", changes)
	}
	return nil
}

// Forget drops what is known of a resource that is gone.
func (r *Repeats) Forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, uid)
}
