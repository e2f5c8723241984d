package connect

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestRenewing counts how often tokens are asked for while time passes, once a second.
func TestRenewing(t *testing.T) {
	refused := &TokenError{Text: "no", Refused: true}
	silent := &TokenError{Text: "no"}
	cases := map[string]struct {
		reason   string
		failures int // How often asking fails, at first.
		err      error
		life     time.Duration
		seconds  int
		want     int
	}{
		"Kept":      {reason: "A token is kept until it is to be renewed.", life: 100 * time.Second, seconds: 99, want: 1},
		"Renewed":   {reason: "Then another is fetched.", life: 10 * time.Second, seconds: 30, want: 3},
		"Endless":   {reason: "One that never expires is kept.", seconds: 1000, want: 1},
		"Refused":   {reason: "At 0, 1, 3, 7, 15, 31, 63, 123, 183 and 243 seconds.", failures: 1000, err: refused, seconds: 300, want: 10},
		"Silent":    {reason: "At 0, 1, 3, 7, 15, 23, 31 and 39 seconds.", failures: 1000, err: silent, seconds: 40, want: 8},
		"Recovered": {reason: "At 0, 1 and 3 seconds, and then no more.", failures: 2, err: refused, seconds: 300, want: 3},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			now, asked := time.Now(), 0
			r := &renewing{now: func() time.Time { return now }, fetch: func(context.Context) (string, time.Time, error) {
				if asked++; asked <= tc.failures {
					return "", time.Time{}, tc.err
				}
				if tc.life == 0 {
					return "token", time.Time{}, nil
				}
				return "token", now.Add(tc.life), nil
			}}
			for range tc.seconds {
				if token, err := r.token(t.Context()); (err == nil) != (token == "token") || err != nil && !errors.Is(err, tc.err) {
					t.Fatalf("%s\ntoken: %q, %v", tc.reason, token, err)
				}
				now = now.Add(time.Second)
			}
			if asked != tc.want {
				t.Errorf("%s\nasked %d times, want %d", tc.reason, asked, tc.want)
			}
		})
	}
}

// TestRenewingCancelled gives up waiting: that is no failure that others are told of.
func TestRenewingCancelled(t *testing.T) {
	tokens := Renewing(func(ctx context.Context) (string, time.Time, error) {
		return "token", time.Time{}, context.Cause(ctx)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tokens(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if token, err := tokens(t.Context()); token != "token" || err != nil {
		t.Errorf("the next one: %q, %v", token, err)
	}
}
