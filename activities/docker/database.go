package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const (
	postgresPort = 5432
	// postgresVolume is where the image wants its data. The data lies one folder
	// below, because the server refuses a folder that is not empty, which the root
	// of a volume may be.
	postgresVolume = "/var/lib/postgresql/data"
	postgresData   = postgresVolume + "/pgdata"
	// The defaults of StartPeriod and StopGracePeriod of a Database.
	databaseStartPeriod = 60 * time.Second
	databaseGrace       = 30 * time.Second
	// The checks of a Database.
	databaseInterval = time.Second
	databaseTimeout  = 5 * time.Second
)

func (p *Provider) applyDatabase(ctx context.Context, d plan.Desired, outputs schemas.Outputs, secrets activities.Secrets, say activities.Progress) error {
	w, err := p.databaseWorkload(d, outputs, secrets)
	if err != nil {
		return err
	}
	declared, err := decode[schemas.Database](d)
	if err != nil {
		return err
	}
	data := schemas.Storage{Retention: declared.Retention}
	if err := p.ensureVolume(ctx, d, dataVolumeName(d.Target), data, outputs, say); err != nil {
		return err
	}
	return p.applyWorkload(ctx, w, secrets, say)
}

// databaseWorkload translates a Database, with its password revealed.
func (p *Provider) databaseWorkload(d plan.Desired, outputs schemas.Outputs, secrets activities.Secrets) (*workload, error) {
	declared, err := decode[schemas.Database](d)
	if err != nil {
		return nil, err
	}
	image, err := p.databaseImage(d.Resource, declared)
	if err != nil {
		return nil, err
	}
	password, err := secrets.Reveal(generatedPassword(d.Resource))
	if err != nil {
		return nil, err
	}
	name, user := databaseNames(d.Resource, declared)
	w, err := newWorkload(d, outputs, 1, declared.Networks, declared.Resources, schemas.RestartAlways, period(declared.StopGracePeriod, databaseGrace))
	if err != nil {
		return nil, err
	}
	w.imageField = databaseImageField
	w.config.Image = image
	w.config.Env = []string{
		"PGDATA=" + postgresData,
		"POSTGRES_DB=" + name,
		"POSTGRES_PASSWORD=" + password,
		"POSTGRES_USER=" + user,
	}
	w.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	data := mount.Mount{Type: mount.TypeVolume, Source: dataVolumeName(d.Target), Target: postgresVolume}
	if err := w.hold([]mount.Mount{data}, nil); err != nil {
		return nil, err
	}
	interval, timeout := schemas.Duration(databaseInterval), schemas.Duration(databaseTimeout)
	start := schemas.Duration(period(declared.StartPeriod, databaseStartPeriod))
	// What Observe can do without the password is to see whether the port answers.
	health := schemas.Health{TCP: &schemas.TCPCheck{Port: postgresPort}, Interval: &interval, Timeout: &timeout, StartPeriod: &start}.WithDefaults()
	return w, w.watch(&health, func() probe { return postgresProbe{user: user, password: password, database: name, port: postgresPort} })
}

// databaseImageField is the property that decides the image of a Database.
const databaseImageField = "properties.version"

func (p *Provider) databaseImage(resource string, d schemas.Database) (string, error) {
	if d.Engine != schemas.EnginePostgres {
		return "", &activities.Fault{Kind: activities.Invalid, Resource: resource, Field: "properties.engine",
			Message: fmt.Sprintf("the Docker provider has no database engine %q", d.Engine), Hint: "use " + schemas.EnginePostgres}
	}
	return strings.ReplaceAll(p.postgresImage, "{version}", d.Version), nil
}

func period(declared *schemas.Duration, otherwise time.Duration) time.Duration {
	if declared == nil {
		return otherwise
	}
	return time.Duration(*declared)
}

// postgresProbe asks the server a question, as the resources that depend on it
// will: over TCP and with the generated password. The image's first start runs a
// temporary server that listens on a socket only, and so does not answer here.
type postgresProbe struct {
	user, password, database string
	port                     int
}

func (p postgresProbe) look(ctx context.Context, _ *container.InspectResponse, address string) (verdict, string) {
	const what = "SELECT 1: "
	if address == "" {
		return failed, what + "the container has no address"
	}
	target := url.URL{
		Scheme: "postgres", User: url.UserPassword(p.user, p.password),
		Host: net.JoinHostPort(address, strconv.Itoa(p.port)), Path: p.database, RawQuery: "sslmode=disable",
	}
	connection, err := pgx.Connect(ctx, target.String())
	if err != nil {
		return failed, what + postgresTrouble(err)
	}
	defer connection.Close(ctx)
	var one int
	if err := connection.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil {
		return failed, what + postgresTrouble(err)
	}
	return passed, what + "answered"
}

// postgresTrouble is the server's own message, or why it could not be reached.
func postgresTrouble(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Message
	}
	return connectionTrouble(err)
}
