package images

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/moby/moby/client"

	"windlass/dev/engine/host"
)

// Builder makes images and loads them into one engine. It is safe for concurrent use, also by several processes.
type Builder struct {
	engine   *client.Client
	progress io.Writer
	cache    string
}

// NewBuilder returns a builder for the engine. Progress gets one line per step of the work that takes time and nothing where
// there is nothing to do. The caller keeps and closes the engine's client.
func NewBuilder(engine *client.Client, progress io.Writer) (*Builder, error) {
	cache, err := host.CacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "images")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("image cache: %w", err)
	}
	return &Builder{engine: engine, progress: progress, cache: cache}, nil
}

// Ensure sees to it that the engine that the environment names (DOCKER_HOST, or the local socket) has the images, and shows
// progress on standard error. It is meant for tests: the first one to need an image builds it, the others find it.
func Ensure(ctx context.Context, images ...Image) error {
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return fmt.Errorf("container engine: %w", err)
	}
	defer engine.Close()
	builder, err := NewBuilder(engine, os.Stderr)
	if err != nil {
		return err
	}
	return builder.Ensure(ctx, images...)
}

// Save sees to it that the engine has the images, as Ensure does, and writes them to one docker archive, for machinery that has no
// registry either.
func Save(ctx context.Context, path string, images ...Image) error {
	if err := Ensure(ctx, images...); err != nil {
		return err
	}
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return fmt.Errorf("container engine: %w", err)
	}
	defer engine.Close()
	var references []string
	for _, image := range images {
		references = append(references, image.Reference)
	}
	archive, err := engine.ImageSave(ctx, references)
	if err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	defer archive.Close()
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	defer file.Close()
	if _, err := io.Copy(file, archive); err != nil {
		return fmt.Errorf("save images to %s: %w", path, err)
	}
	return file.Close()
}

// Ensure sees to it that the engine has the images, one after the other. Only one process at a time works on an image; the
// others wait and then find it.
func (b *Builder) Ensure(ctx context.Context, images ...Image) error {
	for _, image := range images {
		if err := b.ensure(ctx, image); err != nil {
			return fmt.Errorf("image %s: %w", image.Reference, err)
		}
	}
	return nil
}

func (b *Builder) ensure(ctx context.Context, image Image) error {
	unlock, err := host.Lock(ctx, "image-"+fileName(image.Reference), func() {
		b.say(image.Reference, "being made elsewhere, waiting for it")
	})
	if err != nil {
		return err
	}
	defer unlock()
	return image.recipe.ensure(ctx, b, image.Reference)
}

func (b *Builder) say(reference, format string, arguments ...any) {
	fmt.Fprintf(b.progress, "%s: %s\n", reference, fmt.Sprintf(format, arguments...))
}

var notInFileNames = regexp.MustCompile(`[^a-zA-Z0-9.]+`)

// fileName turns a reference into something that can be part of a file name.
func fileName(reference string) string {
	return notInFileNames.ReplaceAllString(reference, "-")
}
