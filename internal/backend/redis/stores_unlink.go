package redis

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// errMoving means that nobody can tell whether all keys were found.
var errMoving error = dataError{errors.New("slots of the cluster are moving, so that keys can be missed: it is tried again until they stay")}

// deleteKeys deletes every key of the partitions of the stores that have not failed. A failure to look is everyone's:
// nobody knows whose keys were not found.
func (b *Backend) deleteKeys(ctx context.Context, deletions []backend.StoreDeletion, doomed []doomed, errs []error) {
	s := search{b: b, doomed: doomed, errs: errs, at: map[string]int{}, found: map[int][]string{}}
	for i, d := range doomed {
		if errs[i] == nil && d.marked {
			s.at[deletions[i].Name] = i
		}
	}
	if len(s.at) == 0 {
		return
	}
	err := errMoving
	for attempt := 0; attempt < 3 && errors.Is(err, errMoving); attempt++ {
		err = s.settled(ctx)
	}
	if err == nil {
		return
	}
	for _, i := range s.at {
		errs[i] = cmpErr(errs[i], err)
	}
}

// A search looks for the keys of stores that are to go, and destroys what it finds.
type search struct {
	b      *Backend
	doomed []doomed
	errs   []error
	at     map[string]int // Where a store is in the batch.
	found  map[int][]string
}

// settled makes one pass. A key whose slot moves from a master that was not looked at yet to one that was would be missed:
// on a cluster, the pass counts only if the masters had the same slots before and after.
func (s *search) settled(ctx context.Context) error {
	if s.b.config.Mode != connect.RedisCluster {
		return s.pass(ctx)
	}
	before, err := s.b.ownSlots(ctx)
	if err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	after, err := s.b.ownSlots(ctx)
	if err != nil {
		return err
	}
	if before != after || strings.Contains(after, "[") {
		s.b.fleet.distrust()
		return errMoving
	}
	return nil
}

// ownSlots returns what each master says of its own slots; in brackets those that come or go.
func (b *Backend) ownSlots(ctx context.Context) (string, error) {
	var nodes replies
	b.send(ctx, "DeleteStores", func(t *trip) { nodes = t.masters("CLUSTER", "NODES") })
	var own []string
	for _, n := range nodes {
		text, err := n.Text()
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) >= 8 && strings.Contains(f[2], "myself") {
				own = append(own, f[0]+" "+strings.Join(f[8:], " "))
			}
		}
	}
	slices.Sort(own)
	return strings.Join(own, "\n"), nil
}

// pass looks at all keys of all masters once.
func (s *search) pass(ctx context.Context) error {
	pattern := partitionPrefix + "*"
	if len(s.at) == 1 {
		for n := range s.at {
			pattern = partitionPrefix + globEscape.Replace(n) + ":*"
		}
	}
	var cursors map[*node]any
	for waiting := 0; cursors == nil || len(cursors) > 0; {
		var pages replies
		s.b.send(ctx, "DeleteStores", func(t *trip) {
			if cursors == nil {
				cursors = map[*node]any{}
				for _, n := range t.topology.servers[:t.topology.masters] {
					cursors[n] = "0"
				}
			}
			for n, cursor := range cursors {
				pages = append(pages, reply{n, t.one(n, "SCAN", cursor, "MATCH", pattern, "COUNT", scanCount)})
			}
		})
		for _, page := range pages {
			next, keys, err := pageOf(page.Cmd)
			if err != nil {
				return err
			}
			waiting += s.add(keys)
			if cursors[page.from] = next; next == "0" {
				delete(cursors, page.from)
			}
		}
		if waiting >= unlinkKeys || len(cursors) == 0 {
			s.destroy(ctx)
			waiting = 0
			clear(s.found)
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

// add notes those keys that are to go, and returns how many they are.
func (s *search) add(keys []any) (n int) {
	for _, k := range keys {
		if i, ok := s.at[storeOf(text(k))]; ok && s.errs[i] == nil {
			s.found[i] = append(s.found[i], text(k))
			n++
		}
	}
	return n
}

// destroy destroys the keys that were found of each store, while the marker says that its deletion stands. On a cluster no
// script can name both: the marker says first that something is destroyed, from when on nobody can call the deletion off.
func (s *search) destroy(ctx context.Context) {
	type answer struct {
		at  int
		cmd *redis.Cmd
	}
	var answers []answer
	apart := s.b.config.Mode == connect.RedisCluster
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
		s.errs[r.at] = cmpErr(s.errs[r.at], s.b.owned(r.cmd))
	}
	if apart {
		s.unlink(ctx)
	}
}

// unlink destroys keys one by one: those of a slot that moves can be on two servers.
func (s *search) unlink(ctx context.Context) {
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
		s.errs[i] = cmpErr(s.errs[i], err)
	}
}
