package eventstore

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxStreamName is how many bytes a stream's name may have.
const maxStreamName = 512

// A StreamID names the stream of one aggregate: what kind it is, and which one.
type StreamID struct {
	Type string // for example "order"; no slash
	ID   string // for example "42"; may have slashes
}

// ParseStreamID is the inverse of [StreamID.String]. It refuses what [StreamID.Validate] refuses.
func ParseStreamID(s string) (StreamID, error) {
	typ, id, _ := strings.Cut(s, "/")
	sid := StreamID{Type: typ, ID: id}
	return sid, sid.validate(s)
}

// String returns "<type>/<id>".
func (s StreamID) String() string { return s.Type + "/" + s.ID }

// Validate says what is wrong with the name, or returns nil. Type and ID must not be empty; together they have at most
// 511 bytes of printable UTF-8 without braces, and Type has no slash.
func (s StreamID) Validate() error { return s.validate(s.String()) }

func (s StreamID) validate(name string) error {
	if err := s.check(name); err != nil {
		return fmt.Errorf("cannot use stream %.40q: %w", s.String(), err)
	}
	return nil
}

func (s StreamID) check(name string) error {
	switch {
	case s.Type == "" || s.ID == "":
		return errors.New("it needs a type and an id, as in order/42")
	case strings.Contains(s.Type, "/"):
		return errors.New("its type has a slash")
	case len(name) > maxStreamName:
		return fmt.Errorf("its name has %d bytes, at most %d are allowed", len(name), maxStreamName)
	case plain(name):
		return nil
	case !utf8.ValidString(name):
		return errors.New("its name is not valid UTF-8")
	case strings.ContainsAny(name, "{}"): // They would let a key of one partition pass for one of another on Redis.
		return errors.New("its name has a brace")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("its name has a character that cannot be printed")
	}
	return nil
}

// plain reports whether a name is of printable ASCII without braces, as nearly all are.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '{' || c == '}' {
			return false
		}
	}
	return true
}
