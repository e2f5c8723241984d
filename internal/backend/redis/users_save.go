package redis

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

// restAfterSaving is how many times as long as the last saving took the next one waits at least. Redis writes all users
// and waits for the disk each time, which for a thousand was measured to keep it from everybody else for 0.15 s.
const restAfterSaving = 9

// unsavedUsers are those that changed since users were last written to the servers' ACL files.
type unsavedUsers struct {
	mu    sync.Mutex
	users map[string]bool // Whether they are gone.
	rest  time.Time       // No saving before this, unless it must be.

	// saving is held by who saves, from take to done. Two at once would be one too many for the server, and the second
	// would take with it what the first must know before it deletes a user again: that it was made again meanwhile.
	saving sync.Mutex

	// making is held for reading by those who make users, so that none is deleted again that is just made again.
	making sync.RWMutex
}

// note notes that a user changes.
func (u *unsavedUsers) note(name string, gone bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.users == nil {
		u.users = map[string]bool{}
	}
	u.users[name] = gone
}

// take begins to save, if there is anything to save and it is time to; must says that it is. It returns what is to be
// saved. If that is something, done must follow.
func (u *unsavedUsers) take(must bool) (users map[string]bool) {
	if must {
		u.saving.Lock()
	} else if !u.saving.TryLock() {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.users) == 0 || !must && time.Now().Before(u.rest) {
		u.saving.Unlock()
		return nil
	}
	users, u.users = u.users, nil
	return users
}

// done ends what take began.
func (u *unsavedUsers) done() { u.saving.Unlock() }

// back takes back what is not done with.
func (u *unsavedUsers) back(users map[string]bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, gone := range u.users { // What changed meanwhile is newer.
		users[name] = gone
	}
	u.users = users
}

// gone returns those of the users that are gone, and that nobody has made again since.
func (u *unsavedUsers) gone(users map[string]bool) (names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, gone := range users {
		if _, again := u.users[name]; gone && !again {
			names = append(names, name)
		}
	}
	return names
}

func (u *unsavedUsers) saved(took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.rest = time.Now().Add(restAfterSaving * took)
}

// save writes the users to the servers' ACL files, where they have one and some have changed: else a restart forgets them.
// What is not saved now, because that was done a moment ago, or fails, is saved by Maintain, which says that it must be.
//
// A server that restarts before has the users of its last saving again. Those that are missing are drift; those that were
// deleted, Maintain deletes once more.
func (b *Backend) save(ctx context.Context, kind string, must bool) error {
	users := b.unsaved.take(must)
	if len(users) == 0 {
		return nil
	}
	defer b.unsaved.done()
	if must {
		b.deleteAgain(ctx, kind, users)
	}
	var saved replies
	begun := time.Now()
	b.send(ctx, kind, func(t *trip) {
		saved = t.all(t.topology.servers, "ACL", "SAVE")
		if t.topology.wary {
			saved = append(saved, t.all(t.topology.sentinels, "SENTINEL", "FLUSHCONFIG")...)
		}
	})
	took := time.Since(begun)
	some, err := saved.answered()
	for _, s := range some {
		switch e := s.Err(); {
		case e != nil && strings.Contains(e.Error(), "not configured to use an ACL file"):
			took = max(took, time.Second) // There is no hurry to ask again.
		case e != nil:
			err = cmpErr(err, e)
		}
	}
	if err != nil {
		b.unsaved.back(users)
		return fmt.Errorf("cannot save the users to the server's ACL file: %w", b.explain(err))
	}
	b.unsaved.saved(took)
	if !must {
		maps.DeleteFunc(users, func(_ string, gone bool) bool { return !gone })
		b.unsaved.back(users)
	}
	return nil
}

// deleteAgain deletes users that are gone, and that a restart may have brought back.
func (b *Backend) deleteAgain(ctx context.Context, kind string, users map[string]bool) {
	b.unsaved.making.Lock()
	defer b.unsaved.making.Unlock()
	b.send(ctx, kind, func(t *trip) {
		if gone := b.unsaved.gone(users); len(gone) > 0 {
			t.all(t.topology.users(), add([]any{"ACL", "DELUSER"}, gone)...)
		}
	})
}
