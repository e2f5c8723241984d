package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// commitsAtOnce is how many requests to commit positions are under way at once: Kafka takes one group in each.
const commitsAtOnce = 64

// A committed is what is known of a group.
type committed struct {
	offsets map[int32]int64 // By partition; those that have none are not in it.
	members []string        // Names of those that read now.
	err     error
}

// A group is one to be read: its positions in the first partitions of a topic.
type group struct {
	name, topic string
	partitions  int
}

// readGroups returns the positions of groups, and who reads.
func (b *Backend) readGroups(ctx context.Context, groups map[string]group) map[string]*committed {
	found := b.readOffsets(ctx, readPatience, groups)
	b.readMembers(ctx, found)
	return found
}

// readOffsets returns the positions of groups alone.
func (b *Backend) readOffsets(ctx context.Context, patience time.Duration, groups map[string]group) map[string]*committed {
	found := make(map[string]*committed, len(groups))
	names := union(groups)
	for _, n := range names {
		found[n] = &committed{offsets: map[int32]int64{}}
	}
	var mu sync.Mutex
	failed := func(g string, err error) {
		mu.Lock()
		defer mu.Unlock()
		found[g].err = first(found[g].err, err)
	}
	b.byCoordinator(ctx, patience, names, failed, func(id int32, names []string) (moved []string, err error) {
		resp, err := fetchOffsets(names, groups).RequestWith(ctx, b.cluster.at(id))
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, g := range resp.Groups {
			switch err := kerr.ErrorForCode(g.ErrorCode); {
			case movedGroup(err):
				moved = append(moved, g.Group)
			case found[g.Group] == nil:
			case err != nil:
				found[g.Group].err = err
			default:
				found[g.Group].take(g)
			}
		}
		return moved, nil
	})
	return found
}

func (c *committed) take(g kmsg.OffsetFetchResponseGroup) {
	for _, t := range g.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				c.err = first(c.err, err)
			} else if p.Offset >= 0 {
				c.offsets[p.Partition] = p.Offset
			}
		}
	}
}

func fetchOffsets(names []string, groups map[string]group) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, n := range names {
		g := kmsg.NewOffsetFetchRequestGroup()
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		g.Group, t.Topic = n, groups[n].topic
		for p := range groups[n].partitions {
			t.Partitions = append(t.Partitions, int32(p))
		}
		g.Topics = append(g.Topics, t)
		req.Groups = append(req.Groups, g)
	}
	return req
}

// readMembers asks the coordinators which groups are active, and who is in those.
func (b *Backend) readMembers(ctx context.Context, found map[string]*committed) {
	var mu sync.Mutex
	failed := func(g string, err error) {
		mu.Lock()
		defer mu.Unlock()
		found[g].err = first(found[g].err, err)
	}
	names := slices.DeleteFunc(union(found), func(n string) bool { return found[n].err != nil })
	b.byCoordinator(ctx, readPatience, names, failed, func(id int32, names []string) (moved []string, err error) {
		req := kmsg.NewPtrListGroupsRequest()
		req.StatesFilter = []string{"PreparingRebalance", "CompletingRebalance", "Stable", "Assigning", "Reconciling"}
		resp, err := req.RequestWith(ctx, b.cluster.at(id))
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			return nil, err
		}
		var classic, consumer []string
		for _, g := range resp.Groups {
			if _, ours := slices.BinarySearch(names, g.Group); !ours {
				continue
			}
			if g.GroupType == "consumer" {
				consumer = append(consumer, g.Group)
			} else {
				classic = append(classic, g.Group)
			}
		}
		members, err := b.describeGroups(ctx, id, classic, consumer)
		mu.Lock()
		defer mu.Unlock()
		for g, m := range members {
			found[g].members = m
		}
		return nil, err
	})
}

// describeGroups returns the client ids of the members of groups, by both protocols that consumers may use.
func (b *Backend) describeGroups(ctx context.Context, id int32, classic, consumer []string) (map[string][]string, error) {
	members := map[string][]string{}
	add := func(group, client, member string) {
		if client == "" {
			client = member
		}
		members[group] = append(members[group], client)
	}
	if len(classic) > 0 {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = classic
		resp, err := req.RequestWith(ctx, b.cluster.at(id))
		if err != nil {
			return nil, err
		}
		for _, g := range resp.Groups {
			for _, m := range g.Members {
				add(g.Group, m.ClientID, m.MemberID)
			}
		}
	}
	if len(consumer) > 0 {
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups = consumer
		resp, err := req.RequestWith(ctx, b.cluster.at(id))
		if err != nil {
			return nil, err
		}
		for _, g := range resp.Groups {
			for _, m := range g.Members {
				add(g.Group, m.ClientID, m.MemberID)
			}
		}
	}
	for g, m := range members {
		slices.Sort(m)
		members[g] = slices.Compact(m)
	}
	return members, nil
}

// A commitment sets positions of one group.
type commitment struct {
	at           int
	group, topic string
	offsets      map[int32]int64
}

// commit sets positions. Kafka takes one group in each request, so they go out side by side.
func (b *Backend) commit(ctx context.Context, all []commitment, errs []error) {
	byGroup := map[string]commitment{}
	for _, c := range all {
		if len(c.offsets) > 0 && errs[c.at] == nil {
			byGroup[c.group] = c
		}
	}
	var mu sync.Mutex
	failed := func(g string, err error) {
		mu.Lock()
		defer mu.Unlock()
		errs[byGroup[g].at] = first(errs[byGroup[g].at], fmt.Errorf("cannot set positions of group %q: %w", g, b.explain(err)))
	}
	b.byCoordinator(ctx, writePatience, union(byGroup), failed, func(id int32, groups []string) (moved []string, err error) {
		var g errgroup.Group
		g.SetLimit(commitsAtOnce)
		for _, name := range groups {
			g.Go(func() error {
				switch err := b.commitOne(ctx, id, byGroup[name]); {
				case movedGroup(err):
					mu.Lock()
					moved = append(moved, name)
					mu.Unlock()
				case err != nil:
					failed(name, err)
				}
				return nil
			})
		}
		return moved, g.Wait()
	})
}

// errBusy says why no position can be set.
var errBusy = dataError{errors.New("consumers read, and Kafka moves no position then: stop them, and it is done")}

func (b *Backend) commitOne(ctx context.Context, id int32, c commitment) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = c.group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = c.topic
	for p, offset := range c.offsets {
		one := kmsg.NewOffsetCommitRequestTopicPartition()
		one.Partition, one.Offset = p, offset
		t.Partitions = append(t.Partitions, one)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, b.cluster.at(id))
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			switch err := kerr.ErrorForCode(p.ErrorCode); {
			case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.StaleMemberEpoch), errors.Is(err, kerr.IllegalGeneration):
				return errBusy
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// A deadGroup is one to be deleted.
type deadGroup struct {
	at   int
	name string
}

// deleteGroups deletes groups with their positions. Who still reads is put out: he has no right to come back.
func (b *Backend) deleteGroups(ctx context.Context, groups []deadGroup, errs []error) {
	at := map[string]int{}
	for _, g := range groups {
		if errs[g.at] == nil {
			at[g.name] = g.at
		}
	}
	var mu sync.Mutex
	failed := func(g string, err error) {
		mu.Lock()
		defer mu.Unlock()
		errs[at[g]] = first(errs[at[g]], fmt.Errorf("cannot delete group %q: %w", g, b.explain(err)))
	}
	for turn := 0; len(at) > 0 && turn < 3; turn++ {
		var busy []string
		b.byCoordinator(ctx, writePatience, union(at), failed, func(id int32, names []string) (moved []string, err error) {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = names
			resp, err := req.RequestWith(ctx, b.cluster.at(id))
			if err != nil {
				return nil, err
			}
			for _, g := range resp.Groups {
				switch err := kerr.ErrorForCode(g.ErrorCode); {
				case movedGroup(err):
					moved = append(moved, g.Group)
				case errors.Is(err, kerr.NonEmptyGroup):
					b.putOut(ctx, id, g.Group)
					mu.Lock()
					busy = append(busy, g.Group)
					mu.Unlock()
				case err != nil && !errors.Is(err, kerr.GroupIDNotFound):
					failed(g.Group, err)
				}
			}
			return moved, nil
		})
		left := map[string]int{}
		for _, g := range busy {
			left[g] = at[g]
		}
		at = left
	}
	for g := range at {
		failed(g, dataError{errors.New("consumers are still connected: stop them")})
	}
}

// putOut makes the members of a group leave it.
func (b *Backend) putOut(ctx context.Context, id int32, group string) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, b.cluster.at(id))
	if err != nil {
		return // It is tried again.
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = group
	for _, g := range resp.Groups {
		for _, m := range g.Members {
			one := kmsg.NewLeaveGroupRequestMember()
			one.MemberID = m.MemberID
			leave.Members = append(leave.Members, one)
		}
	}
	if len(leave.Members) > 0 {
		_, _ = leave.RequestWith(ctx, b.cluster.at(id))
	}
}
