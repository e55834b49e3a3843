package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"windlass/schemas"
)

func newKubernetes(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubernetes",
		Short: "Read and change objects of a Kubernetes cluster",
		Long: `Reads and changes single objects of a cluster through a worker, which has the
credentials: beside every Infrastructure, with nothing that plans, waits or rolls back.
Deploy what is to stay as a resource of type Kubernetes.`,
	}
	cmd.AddCommand(newKubernetesGet(a), newKubernetesList(a), newKubernetesApply(a), newKubernetesDelete(a))
	return cmd
}

// clusterFlags say where objects are.
type clusterFlags struct {
	provider, namespace string
}

func (f *clusterFlags) register(a *app, cmd *cobra.Command, namespace string) {
	cmd.Flags().StringVar(&f.provider, "provider", "", "the cluster, one of those that windlass providers lists; needed where there are several")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", namespace)
	_ = cmd.RegisterFlagCompletionFunc("provider", a.completeCluster)
}

// ofOne is what --namespace is for a single object.
const ofOne = `namespace of the object (default "default")`

// desk is a connection to the objects of one cluster.
type desk struct {
	app      *app
	conn     *nats.Conn
	provider string
}

// openDesk connects, and finds the cluster where no flag names it. The caller closes the
// connection.
func (a *app) openDesk(ctx context.Context, f clusterFlags) (*desk, error) {
	conn, err := a.connect()
	if err != nil {
		return nil, err
	}
	d := &desk{app: a, conn: conn, provider: f.provider}
	if d.provider == "" {
		if d.provider, err = a.onlyCluster(ctx, conn); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if !label.MatchString(d.provider) {
		conn.Close()
		return nil, exitf(ExitUsage, "--provider %q is no name of a provider; see: windlass providers", d.provider)
	}
	return d, nil
}

// onlyCluster is the one provider that has objects.
func (a *app) onlyCluster(ctx context.Context, conn *nats.Conn) (string, error) {
	names, err := a.clusters(ctx, conn, askTimeout)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", exitf(ExitNotFound, "the worker has no provider of kind %s; name a cluster in the workers' file of providers", schemas.ProviderKubernetes)
	case len(names) > 1:
		return "", exitf(ExitUsage, "the worker has several clusters: name one with --provider %s", strings.Join(names, "|"))
	}
	return names[0], nil
}

func (a *app) clusters(ctx context.Context, conn *nats.Conn, timeout time.Duration) ([]string, error) {
	answer, _, err := ask[schemas.ProvidersAnswer](ctx, a, conn, schemas.QueryProviders, schemas.ProvidersRequest{Names: true}, timeout)
	var names []string
	for _, p := range answer.Providers {
		if p.Kind == schemas.ProviderKubernetes {
			names = append(names, p.Name)
		}
	}
	return names, err
}

// completeCluster offers the clusters of a worker for a flag.
func (a *app) completeCluster(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, nil, func(ctx context.Context, conn *nats.Conn) ([]string, error) {
		return a.clusters(ctx, conn, completionTimeout)
	})
}

// object asks for one object, or for a change of it.
func (d *desk) object(ctx context.Context, verb schemas.ObjectVerb, request any) (schemas.ObjectAnswer, json.RawMessage, error) {
	return ask[schemas.ObjectAnswer](ctx, d.app, d.conn, schemas.ObjectSubject(d.provider, verb), request, liveTimeout)
}

func newKubernetesGet(a *app) *cobra.Command {
	var flags clusterFlags
	cmd := &cobra.Command{
		Use:   "get KIND NAME",
		Short: "Print an object as YAML",
		Long: `Prints an object as the cluster has it, without what only concerns field managers.
KIND is a kind, its plural or its short name, with the group where that is not enough:
Deployment, deployments, deploy or deployments.apps. The values of a Secret stay with
the worker.`,
		Args: kindAndNames(1),
	}
	flags.register(a, cmd, ofOne)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		d, err := a.openDesk(ctx, flags)
		if err != nil {
			return err
		}
		defer d.conn.Close()
		answer, raw, err := d.object(ctx, schemas.ObjectGet, schemas.ObjectReference{Kind: args[0], Namespace: flags.namespace, Name: args[1]})
		if err != nil {
			return err
		}
		if a.json != nil {
			a.json.raw(raw)
			return nil
		}
		text, err := yaml.JSONToYAML(answer.Object)
		if err != nil {
			return fmt.Errorf("the worker's answer: %w", err)
		}
		_, err = a.stdout.Write(text)
		return err
	})
	return cmd
}

// kindAndNames demands KIND and at most so many names.
func kindAndNames(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("KIND is missing: %s", cmd.UseLine())
		case len(args) == 1:
			return fmt.Errorf("NAME is missing: %s; windlass kubernetes list shows all", cmd.UseLine())
		case len(args) > 1+most:
			return fmt.Errorf("%q is one argument too many: %s", args[1+most], cmd.UseLine())
		}
		return nil
	}
}

func newKubernetesList(a *app) *cobra.Command {
	var (
		flags    clusterFlags
		selector string
	)
	cmd := &cobra.Command{
		Use:   "list KIND",
		Short: "List the objects of a kind",
		Long: `Lists the objects of a kind in all namespaces, or in one, with whether each is as it is
declared by the rules of kstatus, and what it waits for. KIND is as for get.`,
		Args: argument("KIND"),
	}
	flags.register(a, cmd, "only those of this namespace")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "only those whose labels match, such as app=web,tier!=cache")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		d, err := a.openDesk(ctx, flags)
		if err != nil {
			return err
		}
		defer d.conn.Close()
		var objects []schemas.ObjectSummary
		request := schemas.ObjectListRequest{Kind: args[0], Namespace: flags.namespace, Selector: selector}
		for more := true; more; more = request.Continue != "" {
			answer, _, err := ask[schemas.ObjectListAnswer](ctx, a, d.conn, schemas.ObjectSubject(d.provider, schemas.ObjectList), request, liveTimeout)
			if err != nil {
				return err
			}
			objects, request.Continue = append(objects, answer.Objects...), answer.Continue
		}
		switch {
		case a.json != nil:
			for _, o := range objects {
				a.json.write(o)
			}
		case len(objects) == 0:
			a.note("there is no object of kind %s", args[0])
		default:
			a.print(objectLines(objects, a.now()))
		}
		return nil
	})
	return cmd
}

func objectLines(objects []schemas.ObjectSummary, now time.Time) []line {
	var t table
	t.head("NAMESPACE", "NAME", "KIND", "READY", "AGE", "WAITS FOR")
	for _, o := range objects {
		ready := span{"yes", green}
		if !o.Ready {
			ready = span{"no", yellow}
		}
		t.row(cell(o.Namespace), cell(o.Name), cell(o.Kind), ready, cell(age(o.Created, now)), span{printable(o.Waits), dim})
	}
	return t.lines()
}

func newKubernetesDelete(a *app) *cobra.Command {
	var (
		flags         clusterFlags
		cascade       string
		force, dryRun bool
		yes           bool
	)
	cmd := &cobra.Command{
		Use:   "delete KIND NAME...",
		Short: "Delete objects",
		Long: `Asks the cluster to remove objects of a kind, and does not wait until they are gone.
One that belongs to a resource of an Infrastructure is refused without --force: change
the document instead. Asks before on a terminal; elsewhere --yes is needed.`,
		Args: kindAndNames(1000),
	}
	flags.register(a, cmd, ofOne)
	cmd.Flags().StringVar(&cascade, "cascade", "background", "what becomes of the objects that it owns: background, foreground (before it) or orphan (they stay)")
	cmd.Flags().BoolVar(&force, "force", false, "also objects of an Infrastructure")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "let the server say what it would do, and change nothing")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	_ = cmd.RegisterFlagCompletionFunc("cascade", cobra.FixedCompletions([]string{"background", "foreground", "orphan"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		kind, names := args[0], args[1:]
		switch cascade {
		case "background", "foreground", "orphan":
		default:
			return exitf(ExitUsage, "--cascade %q is not accepted; accepted are background, foreground and orphan", cascade)
		}
		sure := yes || dryRun
		if !sure && !a.canAsk() {
			return exitf(ExitUsage, "delete asks only on a terminal; elsewhere give --yes")
		}
		d, err := a.openDesk(ctx, flags)
		if err != nil {
			return err
		}
		defer d.conn.Close()
		if !sure {
			if err := a.confirm(ctx, fmt.Sprintf("Delete %s %s at %s? [y/N] ", kind, strings.Join(names, ", "), d.provider), "not deleted"); err != nil {
				return err
			}
		}
		var failed error
		for _, name := range names {
			reference := schemas.ObjectReference{Kind: kind, Namespace: flags.namespace, Name: name}
			answer, _, err := d.object(ctx, schemas.ObjectDelete, schemas.ObjectDeleteRequest{ObjectReference: reference, Cascade: cascade, Force: force, DryRun: dryRun})
			if err == nil {
				a.showChange(headOf(answer.Object), answer, dryRun)
				continue
			}
			failed = a.another(failed, err)
		}
		return failed
	})
	return cmd
}

// another tells a failure after which others are still to be tried; the last word is
// left to the first of them.
func (a *app) another(first, err error) error {
	if first == nil {
		return err
	}
	a.note("%s", printable(err.Error()))
	return first
}

// objectHead is what an object says of itself.
type objectHead struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
}

func headOf(object json.RawMessage) objectHead {
	var head objectHead
	_ = json.Unmarshal(object, &head) // what cannot be read has no name
	return head
}

// String is such as "Deployment shop/web".
func (h objectHead) String() string {
	return strings.TrimSpace(h.Kind + " " + strings.TrimPrefix(h.Metadata.Namespace+"/"+h.Metadata.Name, "/"))
}

// showChange tells what became of an object.
func (a *app) showChange(head objectHead, answer schemas.ObjectAnswer, dryRun bool) {
	if a.json != nil {
		a.json.write(struct {
			Kind      string                `json:"kind"`
			Namespace string                `json:"namespace,omitempty"`
			Name      string                `json:"name"`
			Outcome   schemas.ObjectOutcome `json:"outcome"`
			DryRun    bool                  `json:"dryRun,omitempty"`
		}{head.Kind, head.Metadata.Namespace, head.Metadata.Name, answer.Outcome, dryRun})
		return
	}
	words := string(answer.Outcome)
	if answer.Outcome == schemas.ObjectDeleting {
		words += "; it goes once its grace period and its finalizers are over"
	}
	if dryRun {
		words += " (nothing was changed)"
	}
	fmt.Fprintf(a.stdout, "%s %s\n", printable(head.String()), words)
}
