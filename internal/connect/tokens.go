package connect

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A TokenSource returns a token that is still good. It may be called concurrently.
type TokenSource func(ctx context.Context) (token string, err error)

// AWS says as whom to authenticate to Amazon MSK. The credentials are those of the environment.
type AWS struct {
	Region  string
	RoleARN string // To assume. Empty: none.
}

// AWSTokens makes the tokens for AWS. Package awsiam has one; who does not need it does without the AWS SDK.
type AWSTokens func(AWS) TokenSource

var (
	// ErrNoToken means that no token was to be had, so the broker was not even asked.
	ErrNoToken = errors.New("no token")

	// ErrTokenRefused means that who issues tokens has answered, and gives us none. It comes with [ErrNoToken].
	ErrTokenRefused = errors.New("the token was refused")
)

// A TokenError says why there is no token, in words that stay the same while the problem does.
type TokenError struct {
	Text    string // Without secrets, addresses of ours and times.
	Refused bool   // Who issues tokens has answered, and it is for the user to correct something.
	Cause   error  // To be matched, not to be printed.
}

func (e *TokenError) Error() string { return ErrNoToken.Error() + ": " + e.Text }
func (e *TokenError) Unwrap() error { return e.Cause }

// Is makes it [ErrNoToken], and [ErrTokenRefused] if it is that.
func (e *TokenError) Is(target error) bool {
	return target == ErrNoToken || e.Refused && target == ErrTokenRefused //nolint:errorlint // Is compares.
}

// After a failure nobody asks again for a while: at first for failurePause, and twice as long each time. Who does not answer
// may be back soon; who refuses is asked once a minute, however many requests wait for the token.
const (
	failurePause = time.Second
	silencePause = 8 * time.Second
	refusalPause = time.Minute
)

// Renewing returns a source that keeps a token until it is to be renewed, and a failure for a while. A token whose time is zero
// is kept for good.
func Renewing(fetch func(ctx context.Context) (token string, renew time.Time, err error)) TokenSource {
	r := &renewing{fetch: fetch, now: time.Now}
	return r.token
}

// renewing remembers what was fetched last.
type renewing struct {
	fetch func(ctx context.Context) (token string, renew time.Time, err error)
	now   func() time.Time

	mu      sync.Mutex
	current string
	renew   time.Time
	failed  error
	pause   time.Duration
	again   time.Time // Of a failure: not before.
}

func (r *renewing) token(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	switch {
	case r.current != "" && (r.renew.IsZero() || now.Before(r.renew)):
		return r.current, nil
	case now.Before(r.again):
		return "", r.failed
	}
	token, renew, err := r.fetch(ctx)
	if err == nil {
		r.current, r.renew, r.pause = token, renew, 0
		return token, nil
	}
	if ctx.Err() == nil { // Else it is the caller who gave up.
		longest := silencePause
		if errors.Is(err, ErrTokenRefused) {
			longest = refusalPause
		}
		r.pause = min(max(2*r.pause, failurePause), longest)
		r.failed, r.again = err, r.now().Add(r.pause)
	}
	return "", err
}
