// Package starter is the windlass command. It talks to NATS only: commands go out
// as CloudEvents, questions are answered by a worker through NATS request-reply,
// and what moves is read from the stream of status events.
package starter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Main runs the command with its arguments, without the program's name, and
// returns the exit code. It ends early with ExitInterrupted when ctx is cancelled.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var exit *exitError
	if err != nil && !errors.As(err, &exit) {
		// What cobra itself refuses is about the command line.
		err = exitf(ExitUsage, "%w; see %s --help", err, cmd.CommandPath())
	}
	return int(a.finish(err))
}

// app is what the sub-commands share: the streams and the flags of all of them.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time

	url         string
	credentials string
	output      outputFormat
	// json is set once a command with -o json has begun.
	json *jsonLines
}

// finish tells the error and ends the JSON lines.
func (a *app) finish(err error) ExitCode {
	code := codeOf(err, ExitInternal)
	if err == nil {
		return code
	}
	var exit *exitError
	if !errors.As(err, &exit) || !exit.told {
		fmt.Fprintf(a.stderr, "windlass: %s\n", printable(err.Error()))
	}
	if a.json != nil && !a.json.ended {
		a.json.result(result{Result: code.String(), ExitCode: int(code), Error: err.Error()})
	}
	return code
}

// note tells something that is no answer.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, "windlass: "+format+"\n", args...)
}
