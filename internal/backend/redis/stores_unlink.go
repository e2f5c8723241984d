package redis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

// searchFor is how long one call looks for keys. What it has looked at, the next call for the same stores need not.
const searchFor = 10 * time.Second

// deleteKeys deletes every key of the partitions of the stores that have not failed. Stores that have come equally far are
// looked for together. A failure to look is everyone's: nobody knows whose keys were not found.
func (b *Backend) deleteKeys(ctx context.Context, deletions []backend.StoreDeletion, doomed []doomed, errs []error) {
	var searches []*search
	until := time.Now().Add(searchFor)
	for i, d := range doomed {
		if errs[i] != nil || !d.marked {
			continue
		}
		known := b.searched.take(deletions[i].Name)
		if d.begun { // Somebody may have called an earlier deletion off, and written since.
			known = nil
		}
		at := slices.IndexFunc(searches, func(s *search) bool { return s.known == known })
		if at < 0 {
			at = len(searches)
			searches = append(searches, newSearch(b, doomed, errs, known))
		}
		searches[at].at[deletions[i].Name] = i
	}
	slices.SortStableFunc(searches, func(a, b *search) int { return a.progress.since.Compare(b.progress.since) })
	for _, s := range searches {
		s.run(ctx, until) // The oldest first, so that each comes to its end.
	}
}

// A search looks for the keys of stores that are to go, and destroys what it finds.
type search struct {
	b        *Backend
	doomed   []doomed
	errs     []error
	known    *progress // What an earlier search has done.
	progress *progress
	at       map[string]int // Where a store is in the batch.
	found    map[int][]string
}

func newSearch(b *Backend, doomed []doomed, errs []error, known *progress) *search {
	p := progress{since: time.Now()}
	if known != nil {
		p = *known
	}
	return &search{b: b, doomed: doomed, errs: errs, known: known, progress: &p, at: map[string]int{}, found: map[int][]string{}}
}

// run looks at all keys until all were, or the time is over. What has come to pass is kept for the next time.
func (s *search) run(ctx context.Context, until time.Time) {
	p := s.progress
	err := s.settle(ctx, until, p)
	for name, i := range s.at {
		if s.errs[i] == nil && p.lasts() { // Also if nothing is left to look at: the marker may stay for another reason.
			s.b.searched.put(name, p)
		}
		s.errs[i] = cmpErr(s.errs[i], err)
	}
}

// settle looks until all keys were looked at while the masters and their slots were the same.
func (s *search) settle(ctx context.Context, until time.Time, p *progress) error {
	for range 3 {
		now, err := s.b.whereabouts(ctx)
		if err != nil {
			return err
		}
		p.from(now)
		if p.done() {
			return nil
		}
		if err := s.pass(ctx, until, p); err != nil {
			return err
		}
	}
	s.b.fleet.distrust()
	return errMoving
}

// pattern is what the keys of all stores match that are looked for.
func (s *search) pattern() string {
	if len(s.at) == 1 {
		for n := range s.at {
			return partitionPrefix + globEscape.Replace(n) + ":*"
		}
	}
	return partitionPrefix + "*"
}

// pass looks at all keys of the masters that were not looked at yet.
func (s *search) pass(ctx context.Context, until time.Time, p *progress) error {
	for pattern := s.pattern(); !p.done(); {
		if time.Now().After(until) {
			return errUnfinished
		}
		var pages replies
		s.b.send(ctx, "DeleteStores", func(t *trip) {
			for n, at := range p.at {
				if !at.done {
					pages = append(pages, reply{n, t.one(n, "SCAN", at.cursor, "MATCH", pattern, "COUNT", scanCount)})
				}
			}
		})
		next := make([]string, len(pages))
		for i, page := range pages {
			cursor, keys, err := pageOf(page.Cmd)
			if err != nil {
				return err
			}
			next[i] = cursor
			s.add(keys)
		}
		if err := s.destroy(ctx); err != nil {
			return err
		}
		for i, page := range pages {
			p.at[page.from] = place{run: p.at[page.from].run, cursor: next[i], done: next[i] == "0"}
		}
	}
	return nil
}

// pageOf reads the answer to SCAN.
func pageOf(page *redis.Cmd) (next string, keys []any, err error) {
	v, err := page.Slice()
	if err == nil && len(v) != 2 {
		err = errors.New("the server answered SCAN out of shape")
	}
	if err != nil {
		return "", nil, err
	}
	keys, _ = v[1].([]any)
	return text(v[0]), keys, nil
}

// add notes those keys that are to go.
func (s *search) add(keys []any) {
	for _, k := range keys {
		if i, ok := s.at[storeOf(text(k))]; ok && s.errs[i] == nil {
			s.found[i] = append(s.found[i], text(k))
		}
	}
}

// destroy destroys the keys that were found of each store, while the marker says that its deletion stands. On a cluster no
// script can name both: the marker says first that something is destroyed, from when on nobody can call the deletion off.
// It returns an error if a server cannot be reached; any other is the store's own.
func (s *search) destroy(ctx context.Context) error {
	if len(s.found) == 0 {
		return nil
	}
	defer clear(s.found)
	type answer struct {
		at  int
		cmd *redis.Cmd
	}
	var answers []answer
	apart := s.b.config.Mode == redisclient.ModeCluster
	s.b.send(ctx, "DeleteStores", func(t *trip) {
		for i, keys := range s.found {
			for some := range slices.Chunk(keys, unlinkKeys) {
				if apart {
					some = nil
				}
				d := s.doomed[i]
				answers = append(answers, answer{i, t.run(unlinkScript, append([]string{d.marker}, some...), deletionArgs(d.owner)...)})
			}
		}
	})
	for _, r := range answers {
		if err := r.cmd.Err(); outOfReach(err) {
			return err
		}
		s.errs[r.at] = cmpErr(s.errs[r.at], s.b.owned(r.cmd))
	}
	if apart {
		return s.unlink(ctx)
	}
	return nil
}

// unlink destroys keys one by one: those of a slot that moves can be on two servers.
func (s *search) unlink(ctx context.Context) error {
	gone := map[int][]*redis.IntCmd{}
	s.b.send(ctx, "DeleteStores", func(t *trip) {
		for i, keys := range s.found {
			if s.errs[i] != nil {
				continue
			}
			for _, k := range keys {
				gone[i] = append(gone[i], t.Unlink(ctx, k))
			}
		}
	})
	for i, counts := range gone {
		_, err := sumOf(counts)
		if outOfReach(err) {
			return err
		}
		s.errs[i] = cmpErr(s.errs[i], err)
	}
	return nil
}
