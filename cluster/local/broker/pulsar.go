package broker

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// PulsarAdminRole is the super user: as the subject of a token, and as the common name of the client certificate.
const PulsarAdminRole = "admin"

// PulsarOptions say how Pulsar is configured. Only Dir is required.
type PulsarOptions struct {
	// Dir holds data, configuration, certificates, keys and log. A server started in a Dir that was used before has the
	// same data, keys and certificates.
	Dir string

	// Ports that clients connect to: pulsar, http, pulsar+ssl, https. Default: free ones.
	Ports []int

	// Advertise returns the address that look-ups tell clients of the port without TLS, which is at addr: so a [Proxy] can
	// stand between.
	Advertise func(addr string) (string, error)

	// RS256 has tokens signed by an Issuer, as an identity provider does, instead of with a secret key.
	RS256 bool

	// Config is added to standalone.conf, and wins over everything above.
	Config map[string]string

	// Heap, such as 1g; the same again is allowed outside of it. Default: 256m.
	Heap string

	// LogFile: default pulsar.log in Dir.
	LogFile string

	// Detached lets the server outlive the process that starts it. PIDFile and Mark: see process.Spec.
	Detached bool
	PIDFile  string
	Mark     string

	// Progress is told about a download. Default: standard error.
	Progress io.Writer

	classes string // A flag of the JVM: see distribution.archived.
}

// Pulsar is a running server: broker, bookie and metadata in one process. Its cluster is called standalone, and there are
// the tenant public and the namespace public/default. Its fields are constant; its methods, except Token, must not be called
// concurrently.
type Pulsar struct {
	// Clients must authenticate, with a token or, where there is TLS, with a certificate: their role is its common name.
	ServiceURL    string // pulsar://
	AdminURL      string // http://
	TLSServiceURL string // pulsar+ssl://
	TLSAdminURL   string // https://

	// AdminToken is a token of PulsarAdminRole.
	AdminToken string

	// SecretKey signs tokens with HS256. It is nil with RS256.
	SecretKey []byte

	// Issuer signs tokens with RS256. It is nil without.
	Issuer *Issuer

	// TLSFiles have a client certificate of PulsarAdminRole.
	TLSFiles

	Dir     string
	LogFile string

	opts       PulsarOptions
	ports      []int // By listener: see the constants.
	advertised string
	jvm        jvm
	proc       *process.Process
}

// Indexes of Pulsar.ports.
const (
	pulsarPort = iota
	httpPort
	pulsarTLSPort
	httpsPort
	brokerPort // Where the broker talks to itself, so that no proxy gets in between.
	bookiePort
	pulsarPorts
)

// StartPulsar starts Pulsar and returns when it answers.
func StartPulsar(ctx context.Context, o PulsarOptions) (*Pulsar, error) {
	if o.Dir == "" {
		return nil, errors.New("cannot start pulsar: Dir is required")
	}
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	jars, err := PulsarJars(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if o.classes == "" {
		if o.classes, err = pulsarDistribution.archived(ctx, o.Progress, jars, trainPulsar); err != nil {
			return nil, err
		}
	}
	p, err := tryPulsar(ctx, o, jars)
	if o.Ports == nil && portTaken(err) {
		return tryPulsar(ctx, o, jars)
	}
	return p, err
}

func tryPulsar(ctx context.Context, o PulsarOptions, jars string) (*Pulsar, error) {
	p, err := newPulsar(o)
	if err != nil {
		return nil, err
	}
	heap := cmp.Or(o.Heap, "256m")
	if p.jvm, err = newJVM(jars, heap, p.Dir, append(pulsarFlags(heap), o.classes)...); err != nil {
		return nil, fmt.Errorf("cannot start pulsar: %w", err)
	}
	if o.Advertise != nil {
		if p.advertised, err = o.Advertise(p.advertised); err != nil {
			return nil, fmt.Errorf("cannot advertise pulsar: %w", err)
		}
		p.ServiceURL = "pulsar://" + p.advertised
	}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func trainPulsar(ctx context.Context, dir, flag string) error {
	p, err := StartPulsar(ctx, PulsarOptions{Dir: dir, classes: flag})
	if err != nil {
		return err
	}
	return p.proc.Stop(trainGrace)
}

// AttachPulsar returns the server that an earlier StartPulsar with the same options, ports and PIDFile has left running: it
// can be stopped, and not restarted. The error wraps os.ErrNotExist if there is none.
func AttachPulsar(o PulsarOptions) (*Pulsar, error) {
	proc, err := process.Attach(process.Spec{Name: "pulsar", LogFile: o.LogFile, PIDFile: o.PIDFile})
	if err != nil {
		return nil, err
	}
	p, err := newPulsar(o)
	if err != nil {
		return nil, err
	}
	p.proc = proc
	return p, nil
}

func newPulsar(o PulsarOptions) (*Pulsar, error) {
	if given := len(o.Ports); given != 0 && given != 4 {
		return nil, fmt.Errorf("cannot start pulsar: it wants 4 ports, and Ports has %d", given)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot start pulsar: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create folder of pulsar: %w", err)
	}
	p := &Pulsar{Dir: dir, LogFile: cmp.Or(o.LogFile, filepath.Join(dir, "pulsar.log")), opts: o}
	if p.ports, err = process.FreePorts(pulsarPorts); err != nil {
		return nil, err
	}
	copy(p.ports, o.Ports)
	p.advertised = p.listen(pulsarPort)
	p.ServiceURL, p.AdminURL = "pulsar://"+p.advertised, "http://"+p.listen(httpPort)
	p.TLSServiceURL, p.TLSAdminURL = "pulsar+ssl://"+p.listen(pulsarTLSPort), "https://"+p.listen(httpsPort)
	return p, p.prepare()
}

func (p *Pulsar) listen(port int) string { return process.Loopback(p.ports[port]) }

// prepare writes whatever is not there yet: certificates and the key that signs tokens.
func (p *Pulsar) prepare() (err error) {
	if p.TLSFiles, err = keepTLS(filepath.Join(p.Dir, "tls"), "pulsar", PulsarAdminRole); err != nil {
		return err
	}
	if p.opts.RS256 {
		if p.Issuer, err = keepIssuer(filepath.Join(p.Dir, "issuer.key")); err != nil {
			return err
		}
		key, err := p.Issuer.publicKey()
		if err != nil {
			return fmt.Errorf("cannot encode key of issuer: %w", err)
		}
		if err := writeFile(p.publicKeyFile(), key); err != nil {
			return err
		}
	} else if p.SecretKey, err = keepKey(p.secretKeyFile()); err != nil {
		return err
	}
	if p.AdminToken, err = p.Token(PulsarAdminRole); err != nil {
		return err
	}
	return writeFile(filepath.Join(p.Dir, "admin-token"), []byte(p.AdminToken))
}

func (p *Pulsar) secretKeyFile() string { return filepath.Join(p.Dir, "secret.key") }

func (p *Pulsar) publicKeyFile() string { return filepath.Join(p.Dir, "public.key") }

// keepKey returns the key in the file, and makes one at the first call. It is text, of 260 bits: whoever puts it into a
// Secret may lose a byte that looks like a newline.
func keepKey(file string) ([]byte, error) {
	if err := writeOnce(file, []byte(rand.Text()+rand.Text())); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read key: %w", err)
	}
	return key, nil
}

// Token signs a token for a role. It lasts a year, or for ever if it is signed with the secret key.
func (p *Pulsar) Token(role string) (string, error) {
	if p.Issuer != nil {
		return p.Issuer.Token(role, 365*24*time.Hour, nil)
	}
	return signJWT("HS256", Claims{"sub": role}, func(signed []byte) ([]byte, error) {
		mac := hmac.New(sha256.New, p.SecretKey)
		mac.Write(signed)
		return mac.Sum(nil), nil
	})
}

func (p *Pulsar) start(ctx context.Context) error {
	if p.jvm.program == "" {
		return errors.New("cannot start pulsar: it was attached to, and not started by this process")
	}
	conf := filepath.Join(p.Dir, "standalone.conf")
	if err := writeFile(conf, []byte(p.config())); err != nil {
		return err
	}
	proc, err := p.jvm.run(ctx, process.Spec{
		Name: "pulsar", LogFile: p.LogFile, Detached: p.opts.Detached, PIDFile: p.opts.PIDFile, Mark: p.opts.Mark,
	}, p.Ping, "org.apache.pulsar.PulsarStandaloneStarter", p.args(conf)...)
	if err != nil {
		return err
	}
	p.proc = proc
	return nil
}

// Ping reports whether the server answers its administrator and has made the namespace public/default, which it does last.
func (p *Pulsar) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.AdminURL+"/admin/v2/namespaces/public/default", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.AdminToken)
	req.Close = true // A kept connection would hold up the next Stop.
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("pulsar answered %s", res.Status)
	}
	return nil
}

// Process returns the running server, or nil before its start.
func (p *Pulsar) Process() *process.Process { return p.proc }

// Stop ends the server the way an operator does. It is idempotent.
func (p *Pulsar) Stop() error { return stop(p.proc, javaGrace) }

// Kill ends the server with SIGKILL. It is idempotent.
func (p *Pulsar) Kill() error { return p.proc.Kill() }

// Pause freezes the server: it keeps its connections, and answers nothing. It is idempotent.
func (p *Pulsar) Pause() error { return p.proc.Signal(syscall.SIGSTOP) }

// Resume ends a Pause. It is idempotent.
func (p *Pulsar) Resume() error { return p.proc.Signal(syscall.SIGCONT) }

// Restart starts the server again on the same ports, with its data; it is stopped first if it runs.
func (p *Pulsar) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.start(ctx)
}
