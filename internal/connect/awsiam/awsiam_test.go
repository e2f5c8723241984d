package awsiam

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// The real endpoint cannot be had here. What a token is has been published: a presigned URL of the action kafka-cluster:Connect.
func TestTokens(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	tokens := Tokens(connect.AWS{Region: "eu-central-1"})
	token, err := tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Host != "kafka.eu-central-1.amazonaws.com" || q.Get("Action") != "kafka-cluster:Connect" || q.Get("X-Amz-Signature") == "" {
		t.Errorf("the token is for %s, action %q", u.Host, q.Get("Action"))
	}
	if again, err := tokens(t.Context()); err != nil || again != token {
		t.Errorf("a token that is still good is made anew (%v)", err)
	}
}

func TestTokensWithoutCredentials(t *testing.T) {
	for _, k := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(k, "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, a := range []connect.AWS{{Region: "eu-central-1"}, {Region: "eu-central-1", RoleARN: "arn:aws:iam::1:role/r"}} {
		if _, err := Tokens(a)(t.Context()); !errors.Is(err, connect.ErrNoToken) || errors.Is(err, connect.ErrTokenRefused) || !strings.Contains(err.Error(), "there are no AWS credentials") {
			t.Errorf("%+v without credentials: %v, want ErrNoToken, and what to do", a, err)
		}
	}
}

// TestTokensOfRole has a service answer in place of AWS's own, by the protocol of STS.
func TestTokensOfRole(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	answers := func(status int, code string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>see request 4711</Message></Error></ErrorResponse>", code)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	const role = "arn:aws:iam::111122223333:role/provider"
	cases := map[string]struct {
		reason, url, want string
		refused           bool
	}{
		"Denied":      {"The role does not trust us.", answers(http.StatusForbidden, "AccessDenied"), "no token: AWS answers AccessDenied for the role " + role + ": correct its policies", true},
		"Expired":     {"Our own credentials have expired.", answers(http.StatusForbidden, "ExpiredToken"), "no token: AWS answers ExpiredToken for the role " + role + ": correct its policies", true},
		"NotWell":     {"AWS is not well, which is nothing to correct.", answers(http.StatusServiceUnavailable, "ServiceUnavailable"), "no token: AWS answers ServiceUnavailable", false},
		"NobodyThere": {"The network does not lead there.", "http://127.0.0.1:1", "no token: AWS cannot be asked: the connection is refused: is the server running, and the port right?", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL_STS", tc.url)
			_, err := Tokens(connect.AWS{Region: "eu-central-1", RoleARN: role})(t.Context())
			if err == nil || err.Error() != tc.want || !errors.Is(err, connect.ErrNoToken) || errors.Is(err, connect.ErrTokenRefused) != tc.refused {
				t.Errorf("%s\nerror: %v, want %q, a refusal: %t", tc.reason, err, tc.want, tc.refused)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Setenv("AWS_ENDPOINT_URL_STS", cases["Denied"].url)
	if _, err := Tokens(connect.AWS{Region: "eu-central-1", RoleARN: role})(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, connect.ErrTokenRefused) {
		t.Errorf("cancelled: %v", err)
	}
}
