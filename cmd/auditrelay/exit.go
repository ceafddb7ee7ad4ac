package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/logfile"
)

// The exit codes, as the help of the root command tells them.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitNotThere = 3
	exitConflict = 4
	exitInvalid  = 5
	exitRefused  = 6
	exitAiling   = 7
	// exitInterrupted is 128 and the number of SIGINT, as shells have it.
	exitInterrupted = 130
)

const exitCodes = `Exit codes:
  0  done
  1  failed: the network, the service, a file
  2  used wrongly: an unknown flag or command, a missing argument
  3  not there
  4  changed by somebody else, or not allowed in its state
  5  not valid; the message names the field, or of a file the lines
  6  the destination does not take a test log
  7  a check of auditrelay doctor fails
  130  ended by Ctrl-C`

// usageError is the error of a command that was used wrongly.
type usageError string

func (e usageError) Error() string { return string(e) }

// errTestFailed says that a destination did not take a test log; the reason was printed.
var errTestFailed = errors.New("the destination does not take a test log")

// errInterrupted says that Ctrl-C ended what was under way.
var errInterrupted error = interruption{}

type interruption struct{}

func (interruption) Error() string { return "interrupted" }

func (interruption) Unwrap() error { return context.Canceled }

// exitCode is what the program ends with.
func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if errors.Is(err, errTestFailed) {
		return exitRefused
	}
	if _, ok := errors.AsType[ailing](err); ok {
		return exitAiling
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if _, ok := errors.AsType[refusedLines](err); ok {
		return exitInvalid
	}
	if _, ok := errors.AsType[logfile.Layout](err); ok {
		return exitInvalid
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return exitFailed
	}
	switch r.Status {
	case http.StatusNotFound:
		return exitNotThere
	case http.StatusConflict, http.StatusPreconditionFailed:
		return exitConflict
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		if r.Code != "" {
			return exitRefused
		}
		return exitInvalid
	}
	return exitFailed
}

// oneID takes exactly one argument, the id of what.
func oneID(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		if err := strayAddress(args); err != nil {
			return err
		}
		return usageError(fmt.Sprintf("%s needs one argument, the id of a %s; it got %d", cmd.CommandPath(), what, len(args)))
	}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if err := strayAddress(args); err != nil {
		return err
	}
	return usageError(fmt.Sprintf("%s takes no argument %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath()))
}

// strayAddress recognises the address in "--local ADDRESS", which a flag with an optional value does not take.
func strayAddress(args []string) error {
	for _, a := range args {
		if strings.HasPrefix(a, "http://") || strings.HasPrefix(a, "https://") {
			return usageError("write the address with an equals sign: --local=" + a)
		}
	}
	return nil
}

// group is a command that only has commands below it.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usageError(fmt.Sprintf("%s has no command %q%s", cmd.CommandPath(), args[0], hint))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.SuggestionsMinimumDistance = 2
	return cmd
}
