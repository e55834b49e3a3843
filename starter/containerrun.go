package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

// containerFlags describe a container without a file.
type containerFlags struct {
	image, provider, unhealthy, restart, pull string
	environment, publish, networks            []string
}

func (f *containerFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.image, "image", "", "image to run, instead of FILE")
	flags.StringArrayVarP(&f.environment, "env", "e", nil, "variable, as NAME=VALUE; may be repeated")
	flags.StringArrayVarP(&f.publish, "publish", "p", nil, "port on the host, as HOST:CONTAINER; may be repeated")
	flags.StringArrayVar(&f.networks, "network", nil, "network of the engine to join; may be repeated")
	flags.StringVar(&f.provider, "provider", "", "where it runs, one of those that windlass providers lists; the default is docker")
	flags.StringVar(&f.restart, "restart", "", "Always, OnFailure or Never; the default is Always")
	flags.StringVar(&f.unhealthy, "unhealthy", "", "none, restart, replace or stop; the default is restart")
	flags.StringVar(&f.pull, "pull", "", "Always, IfNotPresent or Never; the default is IfNotPresent")
}

func newContainerRun(a *app) *cobra.Command {
	var (
		flags containerFlags
		wait  waitFlags
	)
	cmd := &cobra.Command{
		Use:   "run FILE | ENV/NAME --image IMAGE [-- ARGUMENT...]",
		Short: "Run a container, or bring it to a new version",
		Long: `Runs the container that a document of kind Container declares, or one that flags
describe. One of that name that is there already is adopted when it is as declared;
otherwise the new one takes its place, and the old one goes on where the new one
cannot start. FILE "-" is stdin.`,
		Example: `  windlass container run cache.yaml --wait
  windlass container run staging/cache --image registry.example/redis:7 --publish 6379:6379`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("FILE or ENV/NAME is missing: " + cmd.UseLine())
			}
			if flags.image == "" {
				return argument("FILE")(cmd, args)
			}
			return nil
		},
	}
	flags.register(cmd)
	_ = cmd.RegisterFlagCompletionFunc("provider", a.completeProvider)
	wait.register(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := wait.check(); err != nil {
			return err
		}
		d, err := a.containerDocument(args, flags)
		if err != nil {
			return err
		}
		text, err := json.Marshal(string(d.text))
		if err != nil {
			return err
		}
		scope := schemas.ContainerScope(d.container.Spec.Environment, d.container.Metadata.Name)
		s, err := a.newSending(scope, schemas.CommandContainerRun, schemas.ContainerRunRequested{Document: text})
		if err != nil {
			return err
		}
		defer s.conn.Close()
		s.source = d.source
		return s.execute(ctx, wait, false)
	})
	return cmd
}

// containerDocument is the document that the command line names or describes.
func (a *app) containerDocument(args []string, flags containerFlags) (*document, error) {
	if flags.image == "" {
		name, text, err := a.readText(args[0])
		if err != nil {
			return nil, err
		}
		return a.checkContainer(&source{name: name, path: args[0], text: text})
	}
	scope, err := parseContainer(args[0])
	if err != nil {
		return nil, err
	}
	text, err := flags.document(scope, args[1:])
	if err != nil {
		return nil, err
	}
	return a.checkContainer(&source{name: "the command line", text: text})
}

// checkContainer checks a Container with the parser of the worker.
func (a *app) checkContainer(s *source) (*document, error) {
	container, err := schemas.ParseContainer(s.text)
	var faults schemas.Faults
	switch {
	case errors.As(err, &faults):
		return nil, a.rejected(s, faults)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return &document{source: s, container: container}, nil
}

// document writes the flags as a document.
func (f *containerFlags) document(scope schemas.Scope, args []string) ([]byte, error) {
	c := schemas.Compute{
		Image: f.image, Args: args, Networks: f.networks,
		RestartPolicy: schemas.RestartPolicy(f.restart), PullPolicy: schemas.PullPolicy(f.pull),
	}
	for _, pair := range f.environment {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return nil, exitf(ExitUsage, "--env %q is not of the form NAME=VALUE", pair)
		}
		if c.Environment == nil {
			c.Environment = map[string]string{}
		}
		c.Environment[name] = value
	}
	for _, pair := range f.publish {
		port, err := parsePublish(pair)
		if err != nil {
			return nil, err
		}
		c.Ports = append(c.Ports, port)
	}
	properties, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(schemas.Container{
		APIVersion: schemas.APIVersion, Kind: schemas.KindContainer, Metadata: schemas.Metadata{Name: scope.Infrastructure},
		Spec: schemas.ContainerSpec{
			Environment:     scope.Environment,
			ContainerPolicy: schemas.ContainerPolicy{Provider: f.provider, UnhealthyPolicy: schemas.UnhealthyPolicy(f.unhealthy)},
			Properties:      properties,
		},
	}, "", "  ")
}

// parsePublish reads HOST:CONTAINER.
func parsePublish(text string) (schemas.Port, error) {
	host, inside, found := strings.Cut(text, ":")
	published, hostErr := strconv.Atoi(host)
	port, insideErr := strconv.Atoi(inside)
	if !found || hostErr != nil || insideErr != nil {
		return schemas.Port{}, exitf(ExitUsage, "--publish %q is not of the form HOST:CONTAINER, such as 8080:80", text)
	}
	return schemas.Port{ContainerPort: port, HostPort: published}, nil
}
