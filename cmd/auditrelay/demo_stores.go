package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// bucketStore is an S3-compatible store in this process.
type bucketStore struct {
	server  *httptest.Server
	backend gofakes3.Backend
}

const demoBucket = "acme-audit-logs"

func startBucket() (*bucketStore, error) {
	backend := s3mem.New()
	if err := backend.CreateBucket(demoBucket); err != nil {
		return nil, fmt.Errorf("create the bucket of the demo: %w", err)
	}
	return &bucketStore{server: httptest.NewServer(gofakes3.New(backend).Server()), backend: backend}, nil
}

// names are the names of all objects.
func (b *bucketStore) names() ([]string, error) {
	list, err := b.backend.ListBucket(demoBucket, &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	if err != nil {
		return nil, fmt.Errorf("list the bucket of the demo: %w", err)
	}
	names := make([]string, len(list.Contents))
	for i, o := range list.Contents {
		names[i] = o.Key
	}
	return names, nil
}

// blobStore is Azurite, Microsoft's own emulator, as npm installed it beside this project.
type blobStore struct {
	process *exec.Cmd
	client  *azblob.Client
	url     string
}

const (
	demoContainer = "audit-logs"
	// The account and the key that every Azurite has, as its documentation gives them; they open nothing else.
	azuriteAccount = "devstoreaccount1"
	azuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	azuritePath    = "node_modules/.bin/azurite-blob"
	azuriteStart   = 20 * time.Second
)

// errNoAzurite says that the demo runs without a blob store.
var errNoAzurite = errors.New("azurite is not installed here; run make demo in a checkout to see Azure Blob too")

func startBlobs(ctx context.Context) (*blobStore, error) {
	path, err := filepath.Abs(azuritePath)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, errNoAzurite
	}
	port, err := loopbackPort()
	if err != nil {
		return nil, err
	}
	b := &blobStore{url: fmt.Sprintf("http://127.0.0.1:%d/%s", port, azuriteAccount)}
	//nolint:gosec // the path is a constant below this folder
	b.process = exec.CommandContext(ctx, path, "--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry",
		"--blobHost", "127.0.0.1", "--blobPort", fmt.Sprint(port))
	if err := b.process.Start(); err != nil {
		return nil, fmt.Errorf("start azurite: %w", err)
	}
	key, err := azblob.NewSharedKeyCredential(azuriteAccount, azuriteKey)
	if err != nil {
		return nil, err
	}
	if b.client, err = azblob.NewClientWithSharedKeyCredential(b.url, key, nil); err != nil {
		return nil, err
	}
	if err := b.ready(ctx, port); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if _, err := b.client.CreateContainer(ctx, demoContainer, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("create the container of the demo: %w", err), b.close())
	}
	return b, nil
}

// ready waits until Azurite listens.
func (b *blobStore) ready(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, azuriteStart)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("azurite does not listen after %v: %w", azuriteStart, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// count counts the blobs.
func (b *blobStore) count(ctx context.Context) (n int, err error) {
	pages := b.client.NewListBlobsFlatPager(demoContainer, nil)
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, fmt.Errorf("list the container of the demo: %w", err)
		}
		n += len(page.Segment.BlobItems)
	}
	return n, nil
}

func (b *blobStore) close() error {
	err := b.process.Process.Kill()
	_ = b.process.Wait() // it ends by our signal
	return err
}

func loopbackPort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	address, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return int(address.Port()), nil
}
