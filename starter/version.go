package starter

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newVersion(a *app) *cobra.Command {
	var client bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of the command and of the worker",
		Args:  optional(0),
	}
	cmd.Flags().BoolVar(&client, "client", false, "only that of the command; asks nobody")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		own := clientVersion{schemas.Version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
		if a.json == nil {
			fmt.Fprintf(a.stdout, "windlass  %s  %s  %s\n", own.Version, own.Go, own.Platform)
		} else {
			a.json.write(struct {
				Client clientVersion `json:"client"`
			}{own})
		}
		if client {
			return nil
		}
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, raw, err := ask[schemas.VersionAnswer](ctx, a, conn, schemas.QueryVersion, struct{}{}, askTimeout)
		if err != nil {
			return err
		}
		if a.json != nil {
			a.json.write(struct {
				Worker any `json:"worker"`
			}{raw})
			return nil
		}
		fmt.Fprintf(a.stdout, "worker    %s\n", printable(answer.Version))
		for _, name := range slices.Sorted(maps.Keys(answer.Providers)) {
			fmt.Fprintf(a.stdout, "provider  %s  %s\n", name, printable(answer.Providers[name]))
		}
		return nil
	})
	return cmd
}

// clientVersion is what this command was built from.
type clientVersion struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}
