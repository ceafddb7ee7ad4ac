package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/aws/profile"
	"github.com/auditrelay/auditrelay/internal/legible"
	"github.com/auditrelay/auditrelay/internal/local"
)

func localCommand() *cobra.Command {
	var config string
	var quiet bool
	o := local.Options{Account: profile.Open}
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run the whole system in this process, in memory, on a virtual clock",
		Example: `  auditrelay local --config streams.yaml
  auditrelay local --config streams.yaml --listen 127.0.0.1:0 --speed 3600`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Speed < 0 {
				return usageError("--speed must not be negative: 1 is real time, 3600 an hour a second, 0 stands still between advances")
			}
			if config == "" {
				if o.Demo, o.Directory, err = local.StartSample(); err != nil {
					return err
				}
				defer closeAll(o.Demo)
				fmt.Fprintf(cmd.ErrOrStderr(), "no --config: workspace acme streams to siem and archive, two receivers of this process; open the address below in a browser\n")
			} else if o.Directory, err = local.ReadFile(config, local.Network()); err != nil {
				return err
			}
			o.Out = cmd.OutOrStdout()
			if !quiet {
				o.Lines = legible.JSONWriter{To: cmd.ErrOrStderr()}
			}
			return local.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8686", "address to take logs at; port 0 is any free one")
	cmd.Flags().StringArrayVar(&o.Hosts, "host", nil, "another name that it is called by, as in a container; may be repeated. Requests that call it by a foreign name get 421")
	cmd.Flags().StringVar(&config, "config", "", "YAML file with workspaces and destinations")
	cmd.Flags().Float64Var(&o.Speed, "speed", 1, "how fast the virtual clock runs; 1 is real time, 0 stands still between advances")
	cmd.Flags().BoolVar(&o.KeepUnread, "keep-rejected-bodies", false,
		"keep rejected messages that are no JSON objects, which may ask for zero retention")
	cmd.Flags().BoolVar(&o.Dedupe, "dedupe", false, "know logs that are sent again within a day, and deliver them once")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "do not write the JSON line of each attempt to standard error")
	return cmd
}

func closeAll(receivers map[string]*local.Receiver) {
	for _, r := range receivers {
		_ = r.Close()
	}
}
