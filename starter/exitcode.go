package starter

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
)

// ExitCode is what the command ends with. The numbers never change their meaning.
type ExitCode int

// The exit codes.
const (
	ExitDone        ExitCode = 0
	ExitInternal    ExitCode = 1
	ExitUsage       ExitCode = 2
	ExitRejected    ExitCode = 3
	ExitFailed      ExitCode = 4
	ExitRolledBack  ExitCode = 5
	ExitTimedOut    ExitCode = 6
	ExitCancelled   ExitCode = 7
	ExitUnreachable ExitCode = 8
	ExitNotFound    ExitCode = 9
	ExitSuperseded  ExitCode = 10
	ExitInterrupted ExitCode = 130
)

// exitCodes describes every exit code: the word of the JSON result and the
// meaning in a sentence.
var exitCodes = []struct {
	code    ExitCode
	word    string
	meaning string
}{
	{ExitDone, "succeeded", "Done. With --wait: the deployment succeeded, the container is as asked for. Without: NATS acknowledged the command."},
	{ExitInternal, "error", "A fault inside the command itself."},
	{ExitUsage, "usage", "The command line is wrong, or a file that it names cannot be read."},
	{ExitRejected, "rejected", "The document or the command is invalid; nothing was changed."},
	{ExitFailed, "failed", "The deployment failed, and what it reached was kept; or a container failed."},
	{ExitRolledBack, "rolledback", "The deployment failed and was rolled back."},
	{ExitTimedOut, "timedout", "--timeout passed while waiting; the deployment goes on."},
	{ExitCancelled, "cancelled", "The deployment was cancelled."},
	{ExitUnreachable, "unreachable", "NATS cannot be reached, or no worker answers a question."},
	{ExitNotFound, "notfound", "Nothing of that name is known."},
	{ExitSuperseded, "superseded", "A newer command made this one needless before it was done."},
	{ExitInterrupted, "interrupted", "Ctrl-C while waiting; the deployment goes on."},
}

// String is the word that stands for the code in the JSON result.
func (c ExitCode) String() string {
	for _, e := range exitCodes {
		if e.code == c {
			return e.word
		}
	}
	return fmt.Sprintf("exit code %d", int(c))
}

// exitError is an error that decides the exit code.
type exitError struct {
	code ExitCode
	err  error
	// told says that stderr has the details already, so that the error adds nothing.
	told bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exitf is an error with an exit code and a text, formatted like fmt.Errorf.
func exitf(code ExitCode, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

// exitSilently is an error with an exit code that prints nothing any more.
func exitSilently(code ExitCode) error {
	return &exitError{code: code, err: errors.New(code.String()), told: true}
}

// codeOf returns the exit code of an error; one that names none is the other code.
func codeOf(err error, other ExitCode) ExitCode {
	if err == nil {
		return ExitDone
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return other
}

// exitCodeTable is the text of "windlass help exit-codes".
func exitCodeTable() string {
	var b strings.Builder
	b.WriteString("The exit codes of windlass are stable: a number never changes its meaning.\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, e := range exitCodes {
		fmt.Fprintf(w, "%d\t%s\t%s\n", int(e.code), e.word, e.meaning)
	}
	w.Flush()
	b.WriteString("\nThe word is the \"result\" of the last line of -o json.\n")
	return b.String()
}
