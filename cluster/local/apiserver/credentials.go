package apiserver

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/certs"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// Users with a static token. Everybody else is a ServiceAccount.
const (
	adminUser       = "admin"
	controllersUser = "kube-controller-manager"
)

// credentials are made once per state folder and read ever after.
type credentials struct {
	caPEM                        []byte
	adminToken, controllersToken string
	client                       *http.Client // Trusts the server's certificate and, for kube-controller-manager's, nothing else matters.

	paths struct{ ca, serverCert, serverKey, serviceAccountKey, tokens string }
}

func loadCredentials(f *state.Folder) (credentials, error) {
	var c credentials
	dir := f.Path("pki")
	c.paths.ca = f.Path("pki", "ca.crt")
	c.paths.serverCert, c.paths.serverKey = f.Path("pki", "server.crt"), f.Path("pki", "server.key")
	c.paths.serviceAccountKey, c.paths.tokens = f.Path("pki", "sa.key"), f.Path("pki", "tokens.csv")

	if _, err := os.Stat(c.paths.tokens); errors.Is(err, os.ErrNotExist) { // The last file that is written.
		if err := c.create(dir); err != nil {
			return c, fmt.Errorf("cannot make credentials of API server: %w", err)
		}
	}
	if err := c.read(); err != nil {
		return c, fmt.Errorf("cannot read credentials of API server: %w", err)
	}
	return c, nil
}

func (c *credentials) create(dir string) error {
	ca, err := certs.NewCA("kubernetes")
	if err != nil {
		return err
	}
	server, err := ca.Issue("kube-apiserver", "localhost", "127.0.0.1", "10.0.0.1", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	if _, _, err := ca.Write(dir, "ca"); err != nil {
		return err
	}
	if _, _, err := server.Write(dir, "server"); err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(c.paths.serviceAccountKey, b, 0o600); err != nil {
		return err
	}
	// Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
	tokens := fmt.Sprintf("%s,%s,%s,\"system:masters\"\n%s,system:%s,%s\n",
		rand.Text(), adminUser, adminUser, rand.Text(), controllersUser, controllersUser)
	return os.WriteFile(c.paths.tokens, []byte(tokens), 0o600)
}

func (c *credentials) read() (err error) {
	if c.caPEM, err = os.ReadFile(c.paths.ca); err != nil {
		return err
	}
	tokens, err := os.ReadFile(c.paths.tokens)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(tokens)) {
		token, user, _ := strings.Cut(line, ",")
		switch {
		case strings.HasPrefix(user, adminUser):
			c.adminToken = token
		case strings.HasPrefix(user, "system:"+controllersUser):
			c.controllersToken = token
		}
	}
	// kube-controller-manager signs its own certificate for its health endpoint, which tells us nothing secret.
	c.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // See above.
	return nil
}

// KubeconfigPath returns where the administrator's kubeconfig is kept.
func KubeconfigPath(f *state.Folder) string { return f.Path("kubeconfig") }

func writeKubeconfigs(f *state.Folder, c credentials, url string) error {
	if err := WriteKubeconfig(KubeconfigPath(f), url, c.caPEM, clientcmdapi.AuthInfo{Token: c.adminToken}); err != nil {
		return err
	}
	return WriteKubeconfig(f.Path("pki", controllersUser+".kubeconfig"), url, c.caPEM, clientcmdapi.AuthInfo{Token: c.controllersToken})
}

// WriteKubeconfig writes a kubeconfig with one cluster and one user.
func WriteKubeconfig(path, url string, ca []byte, user clientcmdapi.AuthInfo) error {
	const name = "eventstore-local"
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters[name] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: ca}
	cfg.AuthInfos[name] = &user
	cfg.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	cfg.CurrentContext = name
	if err := clientcmd.WriteToFile(*cfg, path); err != nil {
		return fmt.Errorf("cannot write kubeconfig: %w", err)
	}
	return nil
}
