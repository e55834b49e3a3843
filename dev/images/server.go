package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
)

// pullSilence is how long a pull may show no sign of life before no registry counts as reachable.
const pullSilence = 15 * time.Second

// server is the recipe of a database server's image: the official image where a registry can be reached, otherwise one that
// is assembled from Debian's packages and keeps the same contract.
type server struct {
	// official is the reference of the official image.
	official string
	// tree is what of Debian goes into the image.
	tree debian
	// entrypoint is the program that keeps the contract, docker-entrypoint.sh.
	entrypoint []byte
	config     v1.Config
}

func (s server) ensure(ctx context.Context, builder *Builder, reference string) error {
	architecture, err := builder.architecture(ctx)
	if err != nil {
		return err
	}
	hash := hashOf(s.tree.hash(architecture), string(s.entrypoint), fmt.Sprint(s.config))
	present, found, err := builder.inputs(ctx, reference)
	if err != nil {
		return err
	}
	// An image without our label is the official one under our name.
	if found && (present == hash || present == "") {
		return nil
	}
	pulled, err := builder.pullOfficial(ctx, s.official, reference)
	if err != nil || pulled {
		return err
	}
	return s.assemble(ctx, builder, reference, architecture, hash)
}

// pullOfficial tags the official image, from the engine or from a registry, and reports whether there was one.
func (b *Builder) pullOfficial(ctx context.Context, official, reference string) (bool, error) {
	_, err := b.engine.ImageInspect(ctx, official)
	if errdefs.IsNotFound(err) {
		b.say(reference, "pulling the official image %s", official)
		if err := b.pull(ctx, official); err != nil {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			b.say(reference, "no registry in reach (%v)", err)
			return false, nil
		}
	} else if err != nil {
		return false, fmt.Errorf("ask the container engine: %w", err)
	}
	if _, err := b.engine.ImageTag(ctx, client.ImageTagOptions{Source: official, Target: reference}); err != nil {
		return false, fmt.Errorf("tag %s: %w", official, err)
	}
	b.say(reference, "is the official image %s", official)
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

// assemble makes the image of Debian's packages. The packages' layer is kept in the cache, because it takes minutes to
// make and seldom changes.
func (s server) assemble(ctx context.Context, b *Builder, reference, architecture, hash string) error {
	path := filepath.Join(b.cache, "debian-"+s.tree.hash(architecture)[:16]+".tar.gz")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		started := time.Now()
		work := path + ".work"
		report := newReporter(b.progress, reference)
		if err := s.tree.pack(ctx, architecture, work, path, report); err != nil {
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
	entrypoint, err := layerOf(executable{path: "usr/local/bin/docker-entrypoint.sh", content: s.entrypoint})
	if err != nil {
		return err
	}
	image, err := imageOf(architecture, hash, s.config, packages, entrypoint)
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
