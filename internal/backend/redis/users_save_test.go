package redis

import (
	"slices"
	"testing"
)

// TestUserMadeAgain deletes no user again that was made again since the saving began, whoever else wants to save meanwhile.
func TestUserMadeAgain(t *testing.T) {
	var u unsavedUsers
	u.note("es:orders", true)
	u.note("es:payments", true)
	users := u.take(true)
	u.note("es:orders", false)
	if other := u.take(false); other != nil {
		t.Errorf("another saving took %v while one was under way", other)
		u.done()
	}
	if gone := u.gone(users); !slices.Equal(gone, []string{"es:payments"}) {
		t.Errorf("%v are deleted again, want es:payments alone", gone)
	}
	u.done()
	if rest := u.take(true); rest["es:orders"] || len(rest) != 1 {
		t.Errorf("%v is left to be saved, want es:orders, which is there", rest)
	}
	u.done()
}
