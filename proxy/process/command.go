package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"windlass/proxy"
	"windlass/proxy/admin"
)

// The exit codes of the command.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitOlder       = 3
	ExitConflict    = 4
	ExitInvalid     = 5
	ExitUnreachable = 6
	ExitNotDrained  = 7
)

// Main runs the windlass-proxy command with its arguments, without the program's
// name, and returns the exit code.
func Main(ctx context.Context, version string, arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(version)
	root.SetArgs(arguments)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	fmt.Fprintln(stderr, "windlass-proxy:", err)
	codes := []struct {
		err  error
		code int
	}{
		{proxy.ErrOlder, ExitOlder}, {proxy.ErrConflict, ExitConflict}, {admin.ErrInvalid, ExitInvalid},
		{admin.ErrUnreachable, ExitUnreachable}, {admin.ErrNotDrained, ExitNotDrained}, {errFailed, ExitFailed},
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ExitUsage
}

// errFailed marks errors that are not about the command line.
var errFailed = errors.New("")

func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}

type failure struct{ error }

func (f *failure) Unwrap() []error { return []error{f.error, errFailed} }

func newRoot(version string) *cobra.Command {
	root := &cobra.Command{
		Use: "windlass-proxy", Short: "Balance load over the replicas of a Compute", Version: version,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(newRun(), newServe(version), newApply(), newStatus(), newDrained(), newUpgrade(), newVersion(version))
	return root
}

// settings adds the flags of a process.
func settings(command *cobra.Command) *Settings {
	s := &Settings{}
	flags := command.Flags()
	flags.StringVar(&s.State, "state", defaultState, "directory for what outlives a restart")
	flags.StringVar(&s.Metrics, "metrics", "", "host:port on which metrics are served under /metrics (default nowhere)")
	flags.BoolVar(&s.AccessLog, "access-log", false, "write a line per request to standard output")
	flags.DurationVar(&s.DrainTimeout, "drain-timeout", defaultDrainTimeout, "what requests in flight have when the process ends or is replaced")
	flags.DurationVar(&s.ReadyTimeout, "ready-timeout", defaultReadyTimeout, "what a process has until it serves")
	socket(command, &s.Socket)
	return s
}

func socket(command *cobra.Command, path *string) {
	command.Flags().StringVar(path, "socket", defaultState+"/admin.sock", "Unix socket of the admin API")
}

func logger(command *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(command.ErrOrStderr(), nil))
}

func newRun() *cobra.Command {
	command := &cobra.Command{Use: "run", Short: "Serve what is configured, until SIGTERM", Args: cobra.NoArgs}
	s := settings(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		s.Logger = logger(command)
		supervisor, err := NewSupervisor(*s)
		if err != nil {
			return failed(err)
		}
		return failed(supervisor.Run(command.Context()))
	}
	return command
}

func newServe(version string) *cobra.Command {
	command := &cobra.Command{Use: "serve", Short: "Serve for a supervisor", Args: cobra.NoArgs, Hidden: true}
	s := settings(command)
	strict := command.Flags().Bool("strict", false, "fail where the last configuration cannot be applied")
	command.RunE = func(command *cobra.Command, _ []string) error {
		s.Logger = logger(command)
		return failed(serve(command.Context(), *s, version, *strict))
	}
	return command
}

func newApply() *cobra.Command {
	var path string
	command := &cobra.Command{
		Use: "apply [FILE|-]", Short: "Make the proxy do what a configuration says", Args: cobra.MaximumNArgs(1),
		Long: "Make the proxy do what a configuration says, as a whole or not at all. Applied again\nit changes nothing. What worked once is done again after a restart.",
	}
	socket(command, &path)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		text, err := input(command.InOrStdin(), arguments)
		if err != nil {
			return failed(err)
		}
		return failed(admin.NewClient(path).Apply(command.Context(), text))
	}
	return command
}

func input(stdin io.Reader, arguments []string) ([]byte, error) {
	if len(arguments) == 0 || arguments[0] == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(arguments[0])
}

func newStatus() *cobra.Command {
	var path, output string
	command := &cobra.Command{Use: "status", Short: "Show the endpoints, their state and their requests in flight", Args: cobra.NoArgs}
	socket(command, &path)
	command.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if output != "text" && output != "json" {
			return fmt.Errorf("--output is %q; text or json is accepted", output)
		}
		status, err := admin.NewClient(path).Status(command.Context())
		if err != nil {
			return failed(err)
		}
		if output == "json" {
			encoder := json.NewEncoder(command.OutOrStdout())
			encoder.SetIndent("", "  ")
			return failed(encoder.Encode(status))
		}
		return failed(writeStatus(command.OutOrStdout(), status))
	}
	return command
}

func writeStatus(w io.Writer, status proxy.Status) error {
	fmt.Fprintf(w, "configuration %d\n\n", status.Version)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tENDPOINT\tADDRESS\tSTATE\tBREAKER\tIN FLIGHT\tREQUESTS\tFAULTS")
	for _, s := range status.Services {
		for _, e := range s.Endpoints {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", s.Name, e.ID, e.Address, e.State, e.Breaker, e.InFlight, e.Requests, e.Faults)
		}
	}
	return table.Flush()
}

func newDrained() *cobra.Command {
	var path string
	var timeout time.Duration
	command := &cobra.Command{
		Use: "drained SERVICE ENDPOINT", Short: "Wait until an endpoint that is taken out has no request in flight", Args: cobra.ExactArgs(2),
		Long: fmt.Sprintf("Wait until an endpoint that is taken out has no request in flight. It ends with %d\nwhen there still is one after the timeout.", ExitNotDrained),
	}
	socket(command, &path)
	command.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long to wait")
	command.RunE = func(command *cobra.Command, arguments []string) error {
		return failed(admin.NewClient(path).Drained(command.Context(), arguments[0], arguments[1], timeout))
	}
	return command
}

func newUpgrade() *cobra.Command {
	var path string
	command := &cobra.Command{
		Use: "upgrade BINARY", Short: "Let another version serve, without losing a connection", Args: cobra.ExactArgs(1),
		Long: "Let another version serve. It takes over the listening sockets and the configuration,\nand the former one ends when it is done with what it has. One that does not serve is\ngiven up. A copy of the binary is kept in the state directory for the next start.",
	}
	socket(command, &path)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		return failed(admin.NewClient(path).Upgrade(command.Context(), arguments[0]))
	}
	return command
}

func newVersion(version string) *cobra.Command {
	var path string
	var running bool
	command := &cobra.Command{Use: "version", Short: "Show the version of this program, or of what serves", Args: cobra.NoArgs}
	socket(command, &path)
	command.Flags().BoolVar(&running, "running", false, "that of the process that serves")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if running {
			var err error
			if version, err = admin.NewClient(path).Version(command.Context()); err != nil {
				return failed(err)
			}
		}
		fmt.Fprintln(command.OutOrStdout(), version)
		return nil
	}
	return command
}
