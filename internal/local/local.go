package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// Network is what the local runner's sinks may reach: receivers on loopback, by plain http too, besides the public ones.
func Network() sink.Network {
	return sink.Network{
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		AllowHTTP:    true,
	}
}

// Options are what the local runner is started with.
type Options struct {
	// Listen is a host and port; port 0 is any free one.
	Listen string
	// Hosts are names by which it may be called besides localhost and its address.
	Hosts []string
	// Speed is how fast the virtual clock runs; 1 is real time, 0 stands still between advances.
	Speed     float64
	Directory Directory
	// Out is told where the runner listens and, at the end, what was still pending.
	Out io.Writer
	// Lines, if set, gets the JSON line of each attempt.
	Lines io.Writer
	// Demo are the receivers behind a sample directory, by destination; nil with a configuration of one's own.
	Demo map[string]*Receiver
	// KeepUnread has rejected messages kept that are no JSON objects, see delivery.Deliver.
	KeepUnread bool
	// Dedupe has logs known that are sent again within a day, see delivery.Receipts.
	Dedupe bool
	// Account is the AWS account that assumes the roles of S3 destinations; nil for none.
	Account sink.Account
}

// Run runs the whole system until ctx ends.
func Run(ctx context.Context, o Options) error {
	listener, err := net.Listen("tcp", o.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen at %s: something else listens there, another auditrelay local perhaps: end it, or choose an address with --listen", o.Listen)
	}
	if err != nil {
		return fmt.Errorf("listen for logs: %w", err)
	}
	w := NewWorld(time.Now().UTC(), nil)
	w.account = o.Account
	if o.Dedupe {
		w.Dedupe()
	}
	if o.KeepUnread {
		w.KeepUnread()
	}
	w.SetSinks(&sink.Factory{
		Vault: w.Vault, Records: w.Directory, Network: Network(), Account: o.Account, Room: sink.NewRoom(sink.LeastRoom),
		Now: time.Now, // receivers check signatures against real time
	})
	if err := w.Apply(ctx, o.Directory); err != nil {
		return err
	}
	if o.Lines != nil {
		w.Journal.Next = delivery.NewLines(o.Lines, "auditrelay")
		w.MailJournal.Next = notice.NewLines(o.Lines, "auditrelay")
	}
	hosts := append(slices.Clone(o.Hosts), hostname(o.Listen), hostname(listener.Addr().String()))
	server := &http.Server{Handler: (&Server{World: w, Hosts: hosts, Speed: o.Speed, Demo: o.Demo}).Handler(), ReadHeaderTimeout: 10 * time.Second}

	running, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(running, o.Speed)
	}()
	fmt.Fprintf(o.Out, "ready http://%s\n", listener.Addr())

	select {
	case err = <-served:
	case <-ctx.Done():
		_ = server.Close()
		err = <-served
	}
	stop()
	<-ended
	w.tellPending(o.Out)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// Apply puts workspaces, destinations and credentials in place. A workspace without an external id gets a random one, as
// the management API gives it.
func (w *World) Apply(ctx context.Context, d Directory) error {
	externalIDs := make(map[string]string) // by workspace
	for _, workspace := range d.Workspaces {
		if workspace.ExternalID == "" {
			workspace.ExternalID = directory.NewExternalID()
		}
		externalIDs[workspace.ID] = workspace.ExternalID
		workspace.Incarnation = directory.NewIncarnation()
		if err := w.Directory.PutWorkspace(ctx, workspace); err != nil {
			return fmt.Errorf("put workspace %s: %w", workspace.ID, err)
		}
	}
	for _, dest := range d.Destinations {
		dest.Incarnation = directory.NewIncarnation()
		var err error
		if dest.Credentials, err = w.Vault.Seal(ctx, dest, d.Credentials[dest.ID]); err != nil {
			return err
		}
		dest.StateSince = w.Clock.Now()
		if dest.Kind.AssumesRoles() {
			dest.ExternalID = externalIDs[dest.WorkspaceID]
		}
		if _, err := w.Directory.PutDestination(ctx, dest); err != nil {
			return fmt.Errorf("put destination %s: %w", dest.ID, err)
		}
	}
	return nil
}

// tellPending says what ends with the process.
func (w *World) tellPending(out io.Writer) {
	l := w.Journal.Ledger()
	fmt.Fprintf(out, "stopped: %d accepted, %d delivered, %d failed, %d unrouted, %d rejected, %d repeated, %d pending\n",
		l.Accepted, l.Delivered, l.Failed, l.Unrouted, l.Rejected, l.Repeated, l.Pending)
	byDestination := make(map[string]int)
	for _, d := range w.Cache.All() {
		byDestination[d.DestinationID]++
	}
	for _, id := range slices.Sorted(maps.Keys(byDestination)) {
		fmt.Fprintf(out, "  %d pending for %s\n", byDestination[id], id)
	}
	if n := w.Ingest.Queue.Len(); n > 0 {
		fmt.Fprintf(out, "  %d not routed yet\n", n)
	}
}

// Sample is a directory with one workspace and one destination, for a run without a configuration file.
func Sample(receiverURL string) Directory {
	settings, _ := json.Marshal(map[string]string{"url": receiverURL})
	return Directory{
		Workspaces: []directory.Workspace{{
			ID: "acme", Name: "Acme Corp", Kind: directory.Standalone, Admins: []string{"ada@acme.example"},
		}},
		Destinations: []directory.Destination{{
			ID: "siem", Name: "Acme SIEM", WorkspaceID: "acme", Kind: directory.HTTP, Settings: settings, State: directory.Connected,
			Health: directory.Health{State: directory.Healthy}, Version: 1,
		}},
	}
}
