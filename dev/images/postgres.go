package images

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
)

const (
	officialPostgres = "postgres:15"
	// pullSilence is how long a pull may show no sign of life before no registry counts as reachable.
	pullSilence = 15 * time.Second

	postgresPrograms = "/usr/lib/postgresql/15/bin"
	postgresData     = "/var/lib/postgresql/data"
	postgresSockets  = "/run/postgresql"
)

//go:embed postgres/entrypoint.sh
var postgresEntrypoint []byte

// postgres is the recipe of PostgreSQL's image.
type postgres struct{}

func (postgres) ensure(ctx context.Context, builder *Builder, reference string) error {
	architecture, err := builder.architecture(ctx)
	if err != nil {
		return err
	}
	config := postgresConfig()
	hash := hashOf(postgresTree.hash(architecture), string(postgresEntrypoint), fmt.Sprint(config))
	present, found, err := builder.inputs(ctx, reference)
	if err != nil {
		return err
	}
	// An image without our label is the official one under our name.
	if found && (present == hash || present == "") {
		return nil
	}
	pulled, err := builder.pullOfficial(ctx, reference)
	if err != nil || pulled {
		return err
	}
	return builder.assemblePostgres(ctx, reference, architecture, hash, config)
}

func postgresConfig() v1.Config {
	return v1.Config{
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"postgres"},
		Env: []string{
			"PATH=" + postgresPrograms + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"LANG=C.UTF-8",
			"PG_MAJOR=15",
			"PGDATA=" + postgresData,
		},
		Volumes:      map[string]struct{}{postgresData: {}},
		ExposedPorts: map[string]struct{}{"5432/tcp": {}},
		StopSignal:   "SIGINT",
	}
}

// pullOfficial tags the official image, from the engine or from a registry, and reports whether there was one.
func (b *Builder) pullOfficial(ctx context.Context, reference string) (bool, error) {
	_, err := b.engine.ImageInspect(ctx, officialPostgres)
	if errdefs.IsNotFound(err) {
		b.say(reference, "pulling the official image %s", officialPostgres)
		if err := b.pull(ctx, officialPostgres); err != nil {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			b.say(reference, "no registry in reach (%v)", err)
			return false, nil
		}
	} else if err != nil {
		return false, fmt.Errorf("ask the container engine: %w", err)
	}
	if _, err := b.engine.ImageTag(ctx, client.ImageTagOptions{Source: officialPostgres, Target: reference}); err != nil {
		return false, fmt.Errorf("tag %s: %w", officialPostgres, err)
	}
	b.say(reference, "is the official image %s", officialPostgres)
	return true, nil
}

// pull gets an image from its registry. It gives up when nothing is heard for pullSilence, however long the whole takes.
func (b *Builder) pull(ctx context.Context, reference string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(pullSilence, func() { cancel(fmt.Errorf("silent for %s", pullSilence)) })
	defer silence.Stop()

	response, err := b.engine.ImagePull(ctx, reference, client.ImagePullOptions{})
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer response.Close()
	for message, err := range response.JSONMessages(ctx) {
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		if message.Error != nil {
			return message.Error
		}
		silence.Reset(pullSilence)
	}
	return context.Cause(ctx)
}

// assemblePostgres makes the image of Debian's packages. The packages' layer is kept in the cache, because it takes minutes to
// make and seldom changes.
func (b *Builder) assemblePostgres(ctx context.Context, reference, architecture, hash string, config v1.Config) error {
	path := filepath.Join(b.cache, "debian-"+postgresTree.hash(architecture)[:16]+".tar.gz")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		started := time.Now()
		work := path + ".work"
		report := newReporter(b.progress, reference)
		if err := postgresTree.pack(ctx, architecture, work, path, report); err != nil {
			return fmt.Errorf("assemble from Debian's packages: %w", err)
		}
		b.say(reference, "assembled from Debian's packages in %s", time.Since(started).Round(time.Second))
	} else if err != nil {
		return fmt.Errorf("image cache: %w", err)
	}
	packages, err := tarball.LayerFromFile(path)
	if err != nil {
		return fmt.Errorf("read %s (remove it to make it again): %w", path, err)
	}
	entrypoint, err := layerOf(executable{path: "usr/local/bin/docker-entrypoint.sh", content: postgresEntrypoint})
	if err != nil {
		return err
	}
	image, err := imageOf(architecture, hash, config, packages, entrypoint)
	if err != nil {
		return err
	}
	b.say(reference, "loading into the container engine")
	if err := b.load(ctx, reference, image); err != nil {
		return err
	}
	b.say(reference, "ready")
	return nil
}

// postgresTree is what of Debian goes into the image. Left out is what a server in a container never opens: documentation,
// translations, the cluster that the package makes at installation, Perl (only Debian's cluster wrappers need it) and the
// just-in-time compiler, which the server does without when its library is not there.
var postgresTree = debian{
	suite:   "bookworm",
	include: []string{"postgresql"},
	own:     map[string][]string{"postgres": {postgresData, postgresSockets}},
	leaveOut: strings.Fields(`
		./dev/* ./proc/* ./sys/* ./tmp/* ./var/tmp/* ./var/log/*
		./var/cache/* ./var/lib/apt/lists/* ./var/lib/postgresql/15
		./usr/share/doc ./usr/share/man ./usr/share/info ./usr/share/locale ./usr/share/i18n ./usr/share/lintian
		./usr/share/perl ./usr/share/perl5 ./usr/lib/*/perl
		./usr/lib/*/libLLVM* ./usr/lib/*/libz3.* ./usr/lib/postgresql/15/lib/llvmjit* ./usr/lib/postgresql/15/lib/bitcode
		./usr/lib/*/gconv
	`),
}
