package kafka

import (
	"bytes"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A record is one of the registry topic. Without a value it deletes its key.
type record struct {
	offset int64
	key    string
	value  []byte

	// seen is the offset up to which its writer had read the registry, exclusive. unconditional: it did not say, as an
	// administrator does not who puts something right by hand.
	seen int64
}

const unconditional = -1

// A fold is what the registry says, up to one offset: for each key the record that counts.
//
// Kafka has no conditional write. So a record says up to where its writer had read, and counts only if the key was not
// changed between there and the record itself: the first of two claims that were made at the same time wins, for
// everybody who reads the log, and the loser finds out by reading on to its own record.
//
// Compaction keeps the last record of a key, whether it counts or not. A record that does not count and comes last would
// hide the one that does from whoever reads the log later. So what counts is written once more after it: by the loser
// itself, or by whoever finds that nobody has done so (see unhealed). Until then compaction must leave both alone, which
// it does for a day (min.compaction.lag.ms).
type fold struct {
	next    int64 // The offset up to which the log was read, exclusive.
	entries map[string]*entry

	// What belongs to a store, by the store: names of subscriptions that have a marker, and of those that have dead letters.
	subscriptions, deadLetters map[string]map[string]struct{}
}

// An entry is what is known of one key.
type entry struct {
	offset int64  // Of the record that counts.
	value  []byte // Its value; nil if it deletes the key.

	// hidden is the offset of the last record that does not count, and was not followed by one whose writer had seen it;
	// 0: there is none. copied is that of one which says the same as what counts, which hides it only from a successor.
	hidden, copied int64

	store        *storeMarker
	subscription *subscriptionMarker
	damage       error // The value is no marker.
}

func newFold() *fold {
	return &fold{entries: map[string]*entry{}, subscriptions: map[string]map[string]struct{}{}, deadLetters: map[string]map[string]struct{}{}}
}

// add takes the next record of the log. It reports whether the record counts.
func (f *fold) add(r record) bool {
	f.next = r.offset + 1
	e := f.entries[r.key]
	if e == nil {
		e = &entry{}
		f.entries[r.key] = e
	} else if r.seen != unconditional && r.seen <= e.offset {
		if bytes.Equal(r.value, e.value) && (r.value == nil) == (e.value == nil) {
			e.copied = r.offset
		} else {
			e.hidden = r.offset
		}
		return false
	}
	if e.hidden = max(e.hidden, e.copied); r.seen == unconditional || r.seen > e.hidden {
		e.hidden = 0
	}
	e.copied = 0
	e.offset, e.value = r.offset, r.value
	e.store, e.subscription, e.damage = nil, nil, nil
	f.read(r.key, e)
	return true
}

// read makes a marker of an entry's value.
func (f *fold) read(key string, e *entry) {
	if _, ok := strings.CutPrefix(key, layout.KafkaStoreKeys); ok {
		if e.value != nil {
			e.store, e.damage = decodeStore(e.value)
		}
		return
	}
	if rest, ok := strings.CutPrefix(key, layout.KafkaSubscriptionKeys); ok {
		list(f.subscriptions, rest, e.value != nil)
		if e.value != nil {
			e.subscription, e.damage = decodeSubscription(e.value)
		}
		return
	}
	if rest, ok := strings.CutPrefix(key, layout.KafkaDeadLettersKeys); ok {
		list(f.deadLetters, rest, e.value != nil)
	}
}

// list notes whether there is something of a subscription, "<store>/<subscription>".
func list(of map[string]map[string]struct{}, id string, there bool) {
	store, name, _ := strings.Cut(id, "/")
	switch names := of[store]; {
	case there && names == nil:
		of[store] = map[string]struct{}{name: {}}
	case there:
		names[name] = struct{}{}
	default:
		delete(names, name)
		if len(names) == 0 {
			delete(of, store)
		}
	}
}

// unhealed returns the keys whose last record does not count, and hides the one that does.
func (f *fold) unhealed() (keys []string) {
	for k, e := range f.entries {
		if e.hidden > 0 {
			keys = append(keys, k)
		}
	}
	return keys
}

// value returns what a key has now; nil: nothing.
func (f *fold) value(key string) []byte {
	if e := f.entries[key]; e != nil {
		return e.value
	}
	return nil
}

// grants calls see with every user that a marker gives rights to. What is being deleted needs none.
func (f *fold) grants(see func(user string, list []layout.KafkaACL)) {
	for k, e := range f.entries {
		switch {
		case e.store != nil && e.store.Grant.User != "" && e.store.Deletion == "":
			see(e.store.Grant.User, layout.KafkaStoreACL(strings.TrimPrefix(k, layout.KafkaStoreKeys)))
		case e.subscription != nil && e.subscription.Grant.User != "" && e.subscription.Deletion == "":
			store, name, _ := strings.Cut(strings.TrimPrefix(k, layout.KafkaSubscriptionKeys), "/")
			see(e.subscription.Grant.User, layout.KafkaSubscriptionACL(store, name))
		}
	}
}

// storeMarker returns the marker of a store; nil without one. The error says that it cannot be read.
func (f *fold) storeMarker(store string) (*storeMarker, error) {
	e := f.entries[layout.KafkaStoreKey(store)]
	if e == nil {
		return nil, nil
	}
	return e.store, e.damage
}

// subscriptionMarker returns the marker of a subscription, in the way of storeMarker.
func (f *fold) subscriptionMarker(store, name string) (*subscriptionMarker, error) {
	e := f.entries[layout.KafkaSubscriptionKey(store, name)]
	if e == nil {
		return nil, nil
	}
	return e.subscription, e.damage
}
