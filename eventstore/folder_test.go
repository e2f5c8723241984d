package eventstore_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

// least is what a Secret must have, and two keys that belong together.
func least(generation int) eventstore.Secret {
	n := []byte(strconv.Itoa(generation))
	return eventstore.Secret{
		"type": []byte("eventstore"), "provider": []byte("captured"), "store": []byte("shop.orders"), "partitions": []byte("6"),
		"username": n, "password": n,
	}
}

// opened opens a folder, and returns what the driver gets.
func opened(t *testing.T, m *rotationtest.Mount) eventstore.Binding {
	t.Helper()
	store, err := eventstore.Open(t.Context(), m.FS())
	if err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
	return captured
}

// Whatever is read while the kubelet writes is of one generation, and never older than what was read before.
func TestCurrentIsOfOneGeneration(t *testing.T) {
	m := rotationtest.NewMount(t, least(0))
	b := opened(t, m)
	const last = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range last {
			s := least(n + 1)
			if n%2 == 0 {
				s["certificates"] = s["password"] // Keys come and go.
			}
			m.Set(t, s)
		}
	}()
	for newest := 0; newest < last; {
		s, err := b.Current()
		if err != nil && (errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "change faster")) {
			continue // No kubelet is as fast as that.
		}
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(s.Get("password"))
		if s.Get("username") != s.Get("password") || len(s) != 6+n%2 || n > 0 && n%2 == 1 && s.Get("certificates") != s.Get("password") || n < newest {
			t.Fatalf("generation %s of %d keys, with a user of generation %s, after %d", s.Get("password"), len(s), s.Get("username"), newest)
		}
		newest = n
	}
	<-done
}

func TestCurrent(t *testing.T) {
	cases := map[string]struct {
		reason  string
		change  map[string]string
		wantIs  error
		wantErr string
	}{
		"Password":     {reason: "A password is for the next connection.", change: map[string]string{"password": "new"}},
		"Endpoints":    {reason: "So is where the brokers are.", change: map[string]string{"endpoints": "elsewhere:1", "uri": "redis://elsewhere:1"}},
		"Added":        {reason: "A provider that says more says the same.", change: map[string]string{"layout": "1", "kind": "sourcing", "expected-versions": "true"}},
		"Delivery":     {reason: "How events are delivered is for the next start.", change: map[string]string{"max-deliveries": "9"}},
		"Partitions":   {reason: "Streams would be elsewhere.", change: map[string]string{"partitions": "7"}, wantIs: eventstore.ErrRestart, wantErr: `key "partitions" of the Secret was "6" when the store was opened, and is "7" now: restart the application`},
		"Store":        {reason: "Another store has other events.", change: map[string]string{"store": "shop.bills"}, wantIs: eventstore.ErrRestart, wantErr: `"shop.bills"`},
		"Subscription": {reason: "A subscription has other rights.", change: map[string]string{"subscription": "billing"}, wantIs: eventstore.ErrRestart},
		"Backend":      {reason: "Another driver would be needed.", change: map[string]string{"provider": "kafka"}, wantIs: eventstore.ErrRestart},
		"Kind":         {reason: "A streaming store has no versions.", change: map[string]string{"kind": "streaming"}, wantIs: eventstore.ErrRestart},
		"Mechanism":    {reason: "Clients keep how they log in.", change: map[string]string{"sasl.mechanism": "PLAIN"}, wantIs: eventstore.ErrRestart},
		"Broken":       {reason: "What is no Secret of ours is not used.", change: map[string]string{"type": "postgresql"}, wantErr: "cannot use the Secret as it is now"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := rotationtest.NewMount(t, least(1))
			b := opened(t, m)
			want := rotationtest.With(least(1), tc.change)
			m.Set(t, want)
			got, err := b.Current()
			failed := tc.wantIs != nil || tc.wantErr != ""
			if (err != nil) != failed || tc.wantIs != nil && !errors.Is(err, tc.wantIs) || failed && !strings.Contains(err.Error(), tc.wantErr) {
				t.Fatalf("%s\nCurrent: %v, want %v %s", tc.reason, err, tc.wantIs, tc.wantErr)
			}
			if !failed && !maps.EqualFunc(got, want, func(a, b []byte) bool { return string(a) == string(b) }) {
				t.Errorf("%s\nCurrent: not what the folder has", tc.reason)
			}
		})
	}
}

// A folder that is none of the kubelet's, and a map, do as well.
func TestCurrentOfOthers(t *testing.T) {
	files := fstest.MapFS{}
	for k, v := range least(1) {
		files[k] = &fstest.MapFile{Data: v}
	}
	if _, err := eventstore.Open(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	b := captured
	files["password"] = &fstest.MapFile{Data: []byte("new")}
	if s, err := b.Current(); err != nil || s.Get("password") != "new" {
		t.Errorf("Current of a folder: %v, or an old password", err)
	}
	s := least(1)
	if _, err := eventstore.OpenSecret(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if got, err := captured.Current(); err != nil || got.Get("password") != "1" {
		t.Errorf("Current of a map: %v, or another password", err)
	}
}

// A folder without a Secret is the first thing that goes wrong.
func TestOpenWithoutSecret(t *testing.T) {
	for name, tc := range map[string]struct {
		folder fs.FS
		want   string
	}{
		"NoFolder": {os.DirFS(filepath.Join(t.TempDir(), "orders")), "there is no such folder: is the connection Secret mounted there?"},
		"Empty":    {os.DirFS(t.TempDir()), "the folder is empty"},
	} {
		if _, err := eventstore.Open(t.Context(), tc.folder); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Open: %v, want it to say that %s", name, err, tc.want)
		}
	}
}
