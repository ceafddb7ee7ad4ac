package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manual is docs/cli.md: every command with its flags and examples, as the help tells them.
func manual(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The command line\n\nThis page is made from the commands themselves; `make docs` writes it.\n\n" + root.Short + ".\n\n")
	b.WriteString("| code | auditrelay ends with it when |\n|---|---|\n")
	for line := range strings.Lines(exitCodes) {
		if code, meaning, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			fmt.Fprintf(&b, "| %s | %s |\n", code, meaning)
		}
	}
	b.WriteString("\nShell completion: `auditrelay completion bash|zsh|fish|powershell --help` says how to set it up. `NO_COLOR` turns colours off; there are none\noutside a terminal.\n")
	describe(&b, root)
	return b.String()
}

// describe writes the section of each command below, in the order of their names.
func describe(b *strings.Builder, parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		if !cmd.IsAvailableCommand() || cmd.Name() == "completion" || cmd.Name() == "help" {
			continue
		}
		if !cmd.HasAvailableSubCommands() || cmd.Example != "" { // the others only gather commands
			section(b, cmd)
		}
		describe(b, cmd)
	}
}

func section(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n```text\n%s\n```\n", text, cmd.UseLine())
	here, account := examples(cmd)
	if len(here) > 0 {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.Join(here, "\n"))
	}
	if len(account) > 0 {
		fmt.Fprintf(b, "\n<!-- needs an AWS account -->\n```sh\n%s\n```\n", strings.Join(account, "\n"))
	}
	cmd.InitDefaultHelpFlag()
	rows := ""
	for _, flags := range []*pflag.FlagSet{cmd.NonInheritedFlags(), cmd.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" {
				return
			}
			name := "`--" + f.Name + "`"
			if f.Shorthand != "" {
				name = "`-" + f.Shorthand + "`, " + name
			}
			_, meaning := pflag.UnquoteUsage(f)
			meaning = strings.ReplaceAll(meaning, "|", "\\|")
			if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
				meaning += " (default `" + f.DefValue + "`)"
			}
			rows += fmt.Sprintf("| %s | %s |\n", name, meaning)
		})
	}
	if rows != "" {
		b.WriteString("\n| flag | |\n|---|---|\n" + rows)
	}
}

// examples are a command's, without the two spaces that they have in the help: those that a test executes, and those that need an AWS account.
func examples(cmd *cobra.Command) (here, account []string) {
	whole := strings.ReplaceAll(cmd.Example, "\\\n  ", "\x00") // a line that goes on stays with its beginning
	for line := range strings.Lines(whole) {
		line = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "  "), "\x00", "\\\n")
		if strings.Contains(line, ".amazonaws.com") || strings.HasPrefix(line, "auditrelay doctor") {
			account = append(account, line)
		} else {
			here = append(here, line)
		}
	}
	return here, account
}
