package broker

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

func TestIssuerGrantsTokensToClients(t *testing.T) {
	i, err := keepIssuer(filepath.Join(t.TempDir(), "issuer.key"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(i)
	t.Cleanup(s.Close)
	cases := map[string]struct {
		reason string
		form   url.Values
		basic  bool // The client's secret is in the header.
		want   int
	}{
		"Form":        {reason: "A client may name itself in the form.", form: url.Values{"client_id": {"alice"}, "client_secret": {i.Secret("alice")}}, want: http.StatusOK},
		"Basic":       {reason: "A client may name itself in the header.", basic: true, want: http.StatusOK},
		"WrongSecret": {reason: "Every client has a secret of its own.", form: url.Values{"client_id": {"alice"}, "client_secret": {i.Secret("bob")}}, want: http.StatusUnauthorized},
		"OtherGrant":  {reason: "There are no users, only clients.", form: url.Values{"grant_type": {"password"}}, want: http.StatusBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {"events"}}
			for k, v := range tc.form {
				form[k] = v
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/token", strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if tc.basic {
				req.SetBasicAuth("alice", i.Secret("alice"))
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var body struct {
				Token string `json:"access_token"`
			}
			if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tc.want || (body.Token != "") != (tc.want == http.StatusOK) {
				t.Errorf("%s\nstatus %d, a token: %t, want %d", tc.reason, res.StatusCode, body.Token != "", tc.want)
			}
		})
	}
}
