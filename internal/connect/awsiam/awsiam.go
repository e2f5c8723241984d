// Package awsiam makes the tokens by which Amazon MSK knows an AWS role. It is apart from package connect, so that who does
// not connect to MSK does without the AWS SDK.
package awsiam

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

const (
	// session names us in AWS CloudTrail where a role is assumed.
	session = "provider-eventstore"

	// renewBefore a token expires, 15 minutes after it was made.
	renewBefore = 2 * time.Minute
)

// Tokens returns a source of tokens for the role, or for whom the environment says we are: environment variables, the role
// of the service account, the instance's profile. It implements [connect.AWSTokens].
func Tokens(a connect.AWS) connect.TokenSource {
	var mu sync.Mutex
	var current string
	var expires time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(expires.Add(-renewBefore)) {
			return current, nil
		}
		token, ms, err := sign(ctx, a)
		if err != nil {
			return "", fmt.Errorf("%w: %w", connect.ErrNoToken, err)
		}
		current, expires = token, time.UnixMilli(ms)
		return token, nil
	}
}

func sign(ctx context.Context, a connect.AWS) (token string, expiresMillis int64, err error) {
	if a.RoleARN != "" {
		if token, expiresMillis, err = signer.GenerateAuthTokenFromRole(ctx, a.Region, a.RoleARN, session); err != nil {
			return "", 0, fmt.Errorf("the role %s cannot be assumed with the AWS credentials of the provider's environment", a.RoleARN)
		}
		return token, expiresMillis, nil
	}
	if token, expiresMillis, err = signer.GenerateAuthToken(ctx, a.Region); err != nil {
		return "", 0, errors.New("there are no AWS credentials in the provider's environment: give its service account a role")
	}
	return token, expiresMillis, nil
}
