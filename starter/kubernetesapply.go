package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

const (
	// firstTimeout bounds the waiting for what others need, such as the definition of
	// their kind, and firstInterval lies between two looks at it.
	firstTimeout  = time.Minute
	firstInterval = 300 * time.Millisecond
)

func newKubernetesApply(a *app) *cobra.Command {
	var (
		flags                  clusterFlags
		files                  []string
		createOnly, updateOnly bool
		force, dryRun          bool
	)
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make objects as a file says, or change those that there are",
		Long: `Makes the objects of a file, or changes those that are there, by server-side apply:
fields that the file names become what it says, and others stay. The file has any
number of YAML documents. Namespaces and definitions of kinds come first and are waited
for, then what others refer to, and at last what may refuse others. "-" is stdin.

Fields that another manager owns, and objects of an Infrastructure, are a conflict and
are only taken with --force. What fails keeps nothing else from being applied; each
failure is told with its file and line.`,
		Example: `  windlass kubernetes apply -f monitoring.yaml --provider prod-eu
  kustomize build overlays/prod | windlass kubernetes apply -f - --dry-run`,
		Args: optional(0),
	}
	flags.register(a, cmd, `namespace of objects that name none (default "default")`)
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "file with objects; may be repeated")
	cmd.Flags().BoolVar(&createOnly, "create-only", false, "only make what is not there: one that is, is a conflict")
	cmd.Flags().BoolVar(&updateOnly, "update-only", false, "only replace what is there, as a whole: fields that the file does not name go")
	cmd.Flags().BoolVar(&force, "force", false, "take fields of other managers, and objects of an Infrastructure")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "let the server say what it would do, and change nothing")
	cmd.MarkFlagsMutuallyExclusive("create-only", "update-only")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		verb := schemas.ObjectApply
		switch {
		case createOnly:
			verb = schemas.ObjectCreate
		case updateOnly:
			verb = schemas.ObjectUpdate
		}
		objects, err := a.readObjects(files)
		if err != nil {
			return err
		}
		d, err := a.openDesk(ctx, flags)
		if err != nil {
			return err
		}
		defer d.conn.Close()
		var failed error
		failures := 0
		for _, o := range objects {
			request := schemas.ObjectWriteRequest{Object: o.Object, Namespace: flags.namespace, Force: force, DryRun: dryRun}
			answer, _, err := d.object(ctx, verb, request)
			if err == nil {
				a.showChange(headOf(answer.Object), answer, dryRun)
				if schemas.ObjectRank(o.Kind) == 0 && !dryRun {
					err = d.awaitReady(ctx, o, answer)
				}
			}
			switch {
			case err == nil:
			case ctx.Err() != nil:
				return interrupted(ctx, err)
			default:
				failures++
				failed = a.another(failed, exitf(codeOf(err, ExitInternal), "%s:%d: %s: %w", o.file, o.Line, head(o), err))
			}
		}
		if failures > 1 {
			a.note("%d of %s failed; the first one is", failures, count(len(objects), "object"))
		}
		return failed
	})
	return cmd
}

// placedObject is an object with the file that declares it.
type placedObject struct {
	schemas.ObjectDocument
	file string
}

func head(o placedObject) string {
	h := objectHead{Kind: o.Kind}
	h.Metadata.Namespace, h.Metadata.Name = o.Namespace, o.Name
	return h.String()
}

// readObjects reads the objects of all files, in the order in which they are applied.
func (a *app) readObjects(files []string) ([]placedObject, error) {
	if len(files) == 0 {
		return nil, exitf(ExitUsage, "name a file with -f; -f - is stdin")
	}
	var all []placedObject
	for _, path := range files {
		name, text, err := a.readText(path)
		if err != nil {
			return nil, err
		}
		objects, err := schemas.ParseObjects(text)
		var faults schemas.Faults
		switch {
		case errors.As(err, &faults):
			return nil, a.rejected(&source{name: name}, faults)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, o := range objects {
			all = append(all, placedObject{o, name})
		}
	}
	if len(all) == 0 {
		return nil, exitf(ExitUsage, "there is no object in %s", files[0])
	}
	slices.SortStableFunc(all, func(x, y placedObject) int { return schemas.ObjectRank(x.Kind) - schemas.ObjectRank(y.Kind) })
	return all, nil
}

// awaitReady waits until what others need is ready.
func (d *desk) awaitReady(ctx context.Context, o placedObject, answer schemas.ObjectAnswer) error {
	bounded, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	for !answer.Ready {
		select {
		case <-bounded.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return exitf(ExitTimedOut, "it is not ready after %s, and others need it: %s", firstTimeout, printable(answer.Waits))
		case <-time.After(firstInterval):
		}
		var err error
		if answer, _, err = d.object(bounded, schemas.ObjectGet, schemas.ObjectReference{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}); err != nil {
			return err
		}
	}
	return nil
}
