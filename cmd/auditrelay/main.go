// Command auditrelay runs, feeds, watches and manages auditrelay: a local system in one process, a sender of logs, the story of a week, and the
// management API of a deployment.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "auditrelay:", err)
		os.Exit(exitCode(err))
	}
}

func root() *cobra.Command {
	const short = "Stream audit logs to the destinations that customers chose, and keep trying for seven days"
	cmd := group(&cobra.Command{
		Use:           "auditrelay",
		Short:         short,
		Long:          short + ".\n\n" + exitCodes,
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(fmt.Sprintf("%v; see %s --help", err, cmd.CommandPath()))
	})
	cmd.AddCommand(localCommand(), sendCommand(), demoCommand(), workspaceCommand(), destinationCommand(), applyCommand(), statusCommand(),
		pendingCommand(), attemptsCommand(), tailCommand(), failedCommand(), redriveCommand(), simulateCommand())
	return cmd
}
