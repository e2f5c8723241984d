package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// note is what a consumer tells the next one with the position of a partition. Kafka keeps a text with each, at most 4,096 bytes
// long unless somebody has changed offset.metadata.max.bytes. docs/layout.md has its form. What does not fit is left out: it is
// delivered again, or counted anew.
type note struct {
	done   []span         // Records behind the position, in order.
	failed map[string]int // How often events failed, by offset; -1: it is a dead letter.
}

const (
	doneMark   = "done:"
	failedMark = " failed:"
	doneBytes  = 2200 // before encoding
	failedMost = 40
)

func (n note) encode(position int64) string {
	if len(n.done) == 0 && len(n.failed) == 0 {
		return ""
	}
	b := binary.AppendUvarint(nil, uint64(position))
	at := position
	for _, s := range n.done {
		longer := binary.AppendUvarint(b, uint64(s.from-at))
		longer = binary.AppendUvarint(longer, uint64(s.to-s.from))
		if len(longer) > doneBytes {
			break
		}
		b, at = longer, s.to
	}
	text := doneMark + base64.RawURLEncoding.EncodeToString(b)
	for i, offset := range slices.Sorted(maps.Keys(n.failed)) {
		if i == failedMost {
			break
		}
		mark := ","
		if i == 0 {
			mark = failedMark
		}
		text += fmt.Sprintf("%s%s=%d", mark, offset, n.failed[offset])
	}
	return text
}

// decodeNote returns what a text says of a position. Of another, or written by somebody else, it says nothing.
func decodeNote(text string, position int64) (n note) {
	text, ours := strings.CutPrefix(text, doneMark)
	text, failed, _ := strings.Cut(text, failedMark)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !ours || err != nil {
		return note{}
	}
	number := func() int64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<62 {
			b = nil
			return -1
		}
		b = b[n:]
		return int64(v)
	}
	if number() != position {
		return note{}
	}
	for at := position; len(b) > 0; {
		distance := number()
		length := number()
		if distance < 0 || length < 1 || at+distance+length < at {
			return note{}
		}
		s := span{at + distance, at + distance + length}
		n.done, at = append(n.done, s), s.to
	}
	for entry := range strings.SplitSeq(failed, ",") {
		offset, count, _ := strings.Cut(entry, "=")
		if times, err := strconv.Atoi(count); err == nil {
			if n.failed == nil {
				n.failed = map[string]int{}
			}
			n.failed[offset] = times
		}
	}
	return n
}
