package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// generation is where the kubelet keeps the files of a mounted Secret, one folder for each generation of it. The link
// moves to the next one at once, while those beside it follow by and by.
const generation = "..data"

// readings is how often a folder is read at most. Each one but the first means that somebody was writing meanwhile.
const readings = 10

// readFolder reads a Secret of which each key is a file. All values are of the same generation: it reads until it gets the
// same twice.
func readFolder(folder fs.FS) (Secret, error) {
	var before Secret
	var err error
	for range readings {
		var now Secret
		switch now, err = readFiles(folder); {
		case errors.Is(err, fs.ErrNotExist): // The generation went while it was read.
		case err != nil:
			return nil, err
		case before != nil && maps.EqualFunc(before, now, bytes.Equal):
			return now, nil
		}
		before = now
	}
	if err == nil {
		err = errors.New("the files change faster than they can be read: who writes them?")
	}
	return nil, err
}

func readFiles(folder fs.FS) (Secret, error) {
	if info, err := fs.Stat(folder, generation); err == nil && info.IsDir() {
		if folder, err = fs.Sub(folder, generation); err != nil {
			return nil, err
		}
	}
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	s := Secret{}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		b, err := fs.ReadFile(folder, e.Name())
		if errors.Is(err, fs.ErrNotExist) { // It was there a moment ago: the second reading tells.
			continue
		}
		if err != nil {
			return nil, err
		}
		s[e.Name()] = b
	}
	return s, nil
}

// Current returns the Secret as it is now: of a store that was opened from a folder, what the folder has. Drivers call it
// for each connection that they make. The error matches [ErrRestart] if it is not about the same store any more, or
// about one that is reached in another way. It may be called concurrently.
func (b Binding) Current() (Secret, error) {
	if b.folder == nil {
		return b.Secret, nil
	}
	s, err := readFolder(b.folder)
	if err != nil {
		return nil, fmt.Errorf("cannot read the Secret again: %w", err)
	}
	now, err := parseBinding(s)
	if err != nil {
		return nil, fmt.Errorf("cannot use the Secret as it is now: %w", err)
	}
	if err := b.same(now); err != nil {
		return nil, err
	}
	return s, nil
}

// same compares what an open store is built upon.
func (b Binding) same(now Binding) error {
	type value struct {
		key      string
		was, now any
	}
	values := []value{
		{layout.SecretProvider, b.Provider, now.Provider},
		{layout.SecretStore, b.Store, now.Store},
		{layout.SecretSubscription, b.Subscription, now.Subscription},
		{layout.SecretLayout, b.Layout, now.Layout},
		{layout.SecretPartitions, b.Partitions, now.Partitions},
		{layout.SecretExpectedVersions, !b.Streaming, !now.Streaming},
	}
	for _, key := range []string{layout.SecretTenant, layout.SecretSASLMechanism, layout.SecretRedisMode, layout.SecretSentinelMaster} {
		values = append(values, value{key, b.Secret.Get(key), now.Secret.Get(key)})
	}
	for _, v := range values {
		if v.was != v.now {
			return fmt.Errorf("key %q of the Secret was %q when the store was opened, and is %q now: %w",
				v.key, fmt.Sprint(v.was), fmt.Sprint(v.now), ErrRestart)
		}
	}
	return nil
}
