// Command auditrelay runs, feeds and watches auditrelay: a local system in one process, a sender of logs, and the story of a week.
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
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "auditrelay",
		Short:         "Stream audit logs to the destinations that customers chose, and keep trying for seven days",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(localCommand(), sendCommand(), demoCommand())
	return cmd
}
