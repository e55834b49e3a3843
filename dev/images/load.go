package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

// inputs returns the input hash of the image that the engine has under the reference. It is empty for an image that was not
// made here; found is false where there is none at all.
func (b *Builder) inputs(ctx context.Context, reference string) (hash string, found bool, err error) {
	inspected, err := b.engine.ImageInspect(ctx, reference)
	if errdefs.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("ask the container engine: %w", err)
	}
	if inspected.Config == nil {
		return "", true, nil
	}
	return inspected.Config.Labels[InputsLabel], true, nil
}

// architecture returns the engine's processor architecture in Go's and Debian's words, such as amd64.
func (b *Builder) architecture(ctx context.Context) (string, error) {
	version, err := b.engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the container engine for its architecture: %w", err)
	}
	return version.Arch, nil
}

// load streams an image to the engine as a docker archive, so that it is never whole in memory or on disk twice.
func (b *Builder) load(ctx context.Context, reference string, image v1.Image) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(tarball.Write(tag, image, writer)) }()
	defer reader.Close()

	loaded, err := b.engine.ImageLoad(ctx, reader, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("load into the container engine: %w", err)
	}
	defer loaded.Close()
	decoder := json.NewDecoder(loaded)
	for {
		var message jsonstream.Message
		if err := decoder.Decode(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("load into the container engine: %w", err)
		}
		if message.Error != nil {
			return fmt.Errorf("load into the container engine: %w", message.Error)
		}
	}
}
