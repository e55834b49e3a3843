package starter

import (
	"fmt"

	"github.com/spf13/cobra"
)

// argument demands the one argument of a sub-command, by its name in the usage.
func argument(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("%s is missing: %s", name, cmd.UseLine())
		case len(args) > 1:
			return fmt.Errorf("%q is one argument too many: %s", args[1], cmd.UseLine())
		}
		return nil
	}
}

// optional allows at most so many arguments.
func optional(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > most {
			return fmt.Errorf("%q is one argument too many: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}
