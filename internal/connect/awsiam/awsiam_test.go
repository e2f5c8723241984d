package awsiam

import (
	"encoding/base64"
	"errors"
	"net/url"
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
		if _, err := Tokens(a)(t.Context()); !errors.Is(err, connect.ErrNoToken) {
			t.Errorf("%+v without credentials: %v, want ErrNoToken", a, err)
		}
	}
}
