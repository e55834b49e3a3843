package starter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

// document is a file that the command line names, with the values of its parameters.
type document struct {
	*source
	parameters map[string]any
	parsed     *schemas.Infrastructure
	// container is what a Container declares; parsed is nil then.
	container *schemas.Container
}

// parameterFlags are the flags that give the parameters of a Template.
type parameterFlags struct {
	set  []string
	file string
}

func (p *parameterFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&p.set, "set", nil, "value of a Template's parameter, as NAME=VALUE; may be repeated")
	cmd.Flags().StringVar(&p.file, "values", "", "YAML or JSON file with values of a Template's parameters; --set goes before it")
}

// given says whether any parameter is given.
func (p *parameterFlags) given() bool { return len(p.set) > 0 || p.file != "" }

// values reads the flags.
func (p *parameterFlags) values() (map[string]any, error) {
	values := map[string]any{}
	if p.file != "" {
		var err error
		if values, err = readValues(p.file); err != nil {
			return nil, err
		}
	}
	for _, pair := range p.set {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return nil, exitf(ExitUsage, "--set %q is not of the form NAME=VALUE", pair)
		}
		values[name] = value
	}
	return values, nil
}

// readValues reads a file of values; an empty one holds none.
func readValues(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, exitf(ExitUsage, "--values: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return map[string]any{}, nil
	}
	tree, err := schemas.ParseTree(text)
	var faults schemas.Faults
	switch {
	case errors.As(err, &faults):
		return nil, exitf(ExitUsage, "--values: %s", faultLine(path, faults[0]))
	case err != nil:
		return nil, exitf(ExitUsage, "--values: %s: %w", path, err)
	}
	values, ok := tree.Value.(map[string]any)
	if !ok {
		return nil, exitf(ExitUsage, "--values: %s holds no parameters; write one a line, such as replicas: 3", path)
	}
	return values, nil
}

// readText reads a file, or stdin for "-", and returns the name to call it by.
func (a *app) readText(path string) (name string, text []byte, err error) {
	if path == "-" {
		name = "stdin"
		text, err = io.ReadAll(a.stdin)
	} else {
		name = path
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", nil, exitf(ExitUsage, "%w", err)
	}
	return name, text, nil
}

// read reads and checks the document; "-" is stdin. Faults go to stderr, one a
// line, and to the JSON lines.
func (a *app) read(path string, flags parameterFlags) (*document, error) {
	name, text, err := a.readText(path)
	if err != nil {
		return nil, err
	}
	return a.check(name, path, text, flags)
}

// check is read of a text that was read already.
func (a *app) check(name, path string, text []byte, flags parameterFlags) (*document, error) {
	d := &document{}
	var err error
	if d.parameters, err = flags.values(); err != nil {
		return nil, err
	}
	var wrong *sourceFaults
	d.source, err = newSource(name, path, text)
	switch {
	case errors.As(err, &wrong):
		return nil, a.rejected(&source{name: wrong.name}, wrong.faults)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.parsed, err = schemas.Parse(d.text, d.parameters)
	var faults schemas.Faults
	switch {
	case errors.As(err, &faults):
		return nil, a.rejected(d.source, faults)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	return d, nil
}

// rejected tells the faults of a document or a command, each with its file.
func (a *app) rejected(s *source, faults []schemas.Fault) error {
	placed := make([]schemas.Fault, len(faults))
	for n, fault := range faults {
		name, there := s.locate(fault)
		placed[n] = there
		fmt.Fprintln(a.stderr, printable(faultLine(name, there)))
	}
	if a.json != nil {
		a.json.write(struct {
			File   string          `json:"file"`
			Valid  bool            `json:"valid"`
			Faults []schemas.Fault `json:"faults"`
		}{s.name, false, placed})
	}
	return exitf(ExitRejected, "%s is rejected: %s", s.name, count(len(faults), "fault"))
}

// faultLine is FILE:LINE:COLUMN: field: reason, the form that editors follow.
func faultLine(name string, f schemas.Fault) string {
	place := name
	if f.Line > 0 {
		place += fmt.Sprintf(":%d", f.Line)
		if f.Column > 0 {
			place += fmt.Sprintf(":%d", f.Column)
		}
	}
	if f.Field != "" {
		place += ": " + f.Field
	}
	return place + ": " + f.Reason
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
