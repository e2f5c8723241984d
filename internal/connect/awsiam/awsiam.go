// Package awsiam makes the tokens by which Amazon MSK knows an AWS role. It is apart from package connect, so that who does
// not connect to MSK does without the AWS SDK.
package awsiam

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

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
	return connect.Renewing(func(ctx context.Context) (string, time.Time, error) {
		token, ms, err := sign(ctx, a)
		if err != nil {
			return "", time.Time{}, explain(err, a)
		}
		return token, time.UnixMilli(ms).Add(-renewBefore), nil
	})
}

func sign(ctx context.Context, a connect.AWS) (token string, expiresMillis int64, err error) {
	if a.RoleARN != "" {
		return signer.GenerateAuthTokenFromRole(ctx, a.Region, a.RoleARN, session)
	}
	return signer.GenerateAuthToken(ctx, a.Region)
}

// explain says why there is no token. Of what AWS answers, the code is told: the rest has the request's id.
func explain(err error, a connect.AWS) error {
	e := &connect.TokenError{Cause: err}
	whom := "the AWS credentials of the environment"
	if a.RoleARN != "" {
		whom = "the role " + a.RoleARN
	}
	answer, answered := errors.AsType[smithy.APIError](err)
	_, silent := errors.AsType[net.Error](err)
	switch {
	case answered && isBusy(err, answer):
		e.Text = fmt.Sprintf("AWS answers %s", answer.ErrorCode())
	case answered:
		e.Text, e.Refused = fmt.Sprintf("AWS answers %s for %s: correct its policies", answer.ErrorCode(), whom), true
	case errors.Is(err, context.Canceled):
		e.Text = "the call was cancelled"
	case silent && !soughtInstance(err):
		e.Text = "AWS cannot be asked: " + connect.Explain(err, true)
	default:
		e.Text = "there are no AWS credentials in the environment: give the pod's service account a role"
	}
	return e
}

// isBusy reports whether AWS will answer otherwise when it is asked again.
func isBusy(err error, answer smithy.APIError) bool {
	status := 0
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = r.HTTPStatusCode()
	}
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || strings.HasPrefix(answer.ErrorCode(), "Throttl")
}

// soughtInstance reports whether the SDK came to the last place where it looks for credentials: the service that knows an
// instance's profile, and answers on AWS only. So there are none anywhere else.
func soughtInstance(err error) bool {
	for {
		call, ok := errors.AsType[*smithy.OperationError](err)
		if !ok {
			return false
		}
		if call.Service() == "ec2imds" {
			return true
		}
		err = call.Unwrap()
	}
}
