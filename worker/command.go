package worker

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

// NewCommand is the windlass-worker command.
func NewCommand() *cobra.Command {
	var c Config
	level := slog.LevelInfo
	command := &cobra.Command{
		Use:           "windlass-worker",
		Short:         "Serve commands: run workflows and activities, and answer questions",
		Long:          "Serve commands: run workflows and activities, and answer questions.\n\nStart more workers on the same servers to share the work.",
		Version:       schemas.Version(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, restore := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer restore()
			c.Logger = slog.New(slog.NewTextHandler(command.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			c.Ready = func() { fmt.Fprintln(command.OutOrStdout(), "ready") }
			return Run(ctx, c)
		},
	}
	flags := command.Flags()
	flags.StringVar(&c.NATSURL, "nats", "nats://127.0.0.1:4222", "URL of the NATS server")
	flags.StringVar(&c.NATSCredentials, "nats-credentials", "", "NATS credentials file")
	flags.StringVar(&c.TemporalAddress, "temporal-address", "127.0.0.1:7233", "host:port of the Temporal server")
	flags.StringVar(&c.Namespace, "temporal-namespace", "default", "Temporal namespace")
	flags.StringVar(&c.MasterKeyFile, "master-key-file", "", "file with the key that generated credentials are derived from; all workers need the same")
	flags.StringVar(&c.SecretsDir, "secrets-dir", "", "directory with one file for each ${secret.NAME}")
	flags.StringVar(&c.ProvidersFile, "providers", "", "file that names the engines and clusters of this worker; all workers need the same (default the one provider docker, which the next four flags describe)")
	flags.StringVar(&c.DockerHost, "docker-host", "", "address of the container engine (default DOCKER_HOST, or the local socket)")
	flags.StringVar(&c.PostgresImage, "postgres-image", "", "image of PostgreSQL databases; {version} stands for the version (default the official image)")
	flags.StringVar(&c.RedisImage, "redis-image", "", "image of Redis databases, likewise")
	flags.StringVar(&c.ValkeyImage, "valkey-image", "", "image of Valkey databases, likewise")
	flags.StringVar(&c.ProxyBinary, "proxy-binary", "", "the windlass-proxy that LoadBalancers run (default the one beside this program)")
	flags.StringSliceVar(&c.Approvals, "require-approval", nil, "environments in which somebody has to approve every plan before it runs")
	flags.TextVar(&level, "log-level", level, "least level to log: DEBUG, INFO, WARN or ERROR")
	return command
}
