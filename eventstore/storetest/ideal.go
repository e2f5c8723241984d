package storetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// anyWindow is how many appends a repeated one without an expected version is compared with. See [eventstore.Appender].
const anyWindow = 16

// ideal is what a store should be, as simple as it can be said. Outcomes are text, so that they can be compared and read.
type ideal struct {
	appends   map[eventstore.StreamID][]appended
	snapshots map[eventstore.StreamID]eventstore.Snapshot
	handled   map[string]map[eventstore.StreamID]int // How many events each subscription has handled.
}

// appended is an append that is there.
type appended struct {
	base eventstore.Version
	ids  []string
}

func newIdeal() *ideal {
	return &ideal{
		appends: map[eventstore.StreamID][]appended{}, snapshots: map[eventstore.StreamID]eventstore.Snapshot{},
		handled: map[string]map[eventstore.StreamID]int{},
	}
}

// ids are those of a stream's events, in order.
func (i *ideal) ids(stream eventstore.StreamID) []string {
	out := []string{}
	for _, a := range i.appends[stream] {
		out = append(out, a.ids...)
	}
	return out
}

func (i *ideal) version(stream eventstore.StreamID) eventstore.Version {
	return eventstore.Version(len(i.ids(stream)))
}

func (i *ideal) append(stream eventstore.StreamID, expected eventstore.Version, ids []string) string {
	version := i.version(stream)
	for n, a := range slices.Backward(i.appends[stream]) {
		recent := len(i.appends[stream])-n <= anyWindow
		if slices.Equal(a.ids, ids) && (a.base == expected || expected == eventstore.Any && recent) {
			return versionOutcome(a.base + eventstore.Version(len(ids)))
		}
	}
	if expected != eventstore.Any && expected != version {
		return conflictOutcome(version)
	}
	if len(ids) > 0 {
		i.appends[stream] = append(i.appends[stream], appended{base: version, ids: ids})
	}
	return versionOutcome(version + eventstore.Version(len(ids)))
}

// forgotten is the outcome of an append without an expected version that finds a copy of itself further back than it has to look.
func (i *ideal) forgotten(stream eventstore.StreamID, expected eventstore.Version, ids []string) (outcome string, ok bool) {
	appends := i.appends[stream]
	for _, a := range appends[:max(len(appends)-anyWindow, 0)] {
		if expected == eventstore.Any && slices.Equal(a.ids, ids) {
			return versionOutcome(a.base + eventstore.Version(len(ids))), true
		}
	}
	return "", false
}

func (i *ideal) read(stream eventstore.StreamID, after eventstore.Version) string {
	all := i.ids(stream)
	return idsOutcome(all[min(int(after), len(all)):])
}

// since is what comes in each stream after so many events, which it moves on to the end.
func (i *ideal) since(seen map[eventstore.StreamID]int) (out map[eventstore.StreamID][]string) {
	out = map[eventstore.StreamID][]string{}
	for stream := range i.appends {
		all := i.ids(stream)
		if rest := all[seen[stream]:]; len(rest) > 0 {
			out[stream] = rest
		}
		seen[stream] = len(all)
	}
	return out
}

func (i *ideal) save(s eventstore.Snapshot) {
	if i.snapshots[s.Stream].Version <= s.Version {
		i.snapshots[s.Stream] = s
	}
}

func (i *ideal) load(stream eventstore.StreamID) string {
	if s, ok := i.snapshots[stream]; ok {
		return snapshotOutcome(s)
	}
	return "none"
}

func versionOutcome(v eventstore.Version) string { return fmt.Sprintf("version %d", v) }

func conflictOutcome(v eventstore.Version) string { return fmt.Sprintf("conflict at version %d", v) }

func snapshotOutcome(s eventstore.Snapshot) string {
	return fmt.Sprintf("version %d: %s", s.Version, s.Data)
}

func idsOutcome(ids []string) string { return "[" + strings.Join(ids, " ") + "]" }

func streamsOutcome(m map[eventstore.StreamID][]string) string {
	var lines []string
	for stream, ids := range m {
		lines = append(lines, stream.String()+" "+idsOutcome(ids))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}
