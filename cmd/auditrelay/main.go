// Command auditrelay runs, feeds, watches and manages auditrelay: a local system in one process, a sender of logs, the story of a week, and the
// management API of a deployment.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // for --time-zone on machines without a database of zones

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/sink"
)

func main() {
	log.SetOutput(sink.Unquoted(screen{os.Stderr}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program. It gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(screen{stdout})
	cmd.SetErr(screen{stderr})
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(screen{stderr}, "auditrelay:", err)
	return exitCode(err)
}

// version is what the build knows of itself: the tag that was installed, or the commit that was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

func root() *cobra.Command {
	const short = "Stream audit logs to the destinations that customers chose, and keep trying for seven days"
	cmd := group(&cobra.Command{
		Use:           "auditrelay",
		Short:         short,
		Long:          short + ".\n\n" + exitCodes,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(fmt.Sprintf("%v; see %s --help", err, cmd.CommandPath()))
	})
	cmd.AddCommand(localCommand(), sendCommand(), demoCommand(), workspaceCommand(), destinationCommand(), applyCommand(), statusCommand(),
		doctorCommand(), pendingCommand(), attemptsCommand(), tailCommand(), failedCommand(), redriveCommand(), simulateCommand())
	return cmd
}
