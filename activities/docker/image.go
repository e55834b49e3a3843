package docker

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/activities/database"
	"windlass/plan"
	"windlass/schemas"
)

// Images implements activities.Provider.
func (p *Provider) Images(declared plan.Desired) ([]activities.Image, error) {
	switch declared.Type {
	case schemas.TypeCompute:
		c, err := decode[schemas.Compute](declared)
		if err != nil {
			return nil, err
		}
		c = c.WithDefaults()
		own := activities.Image{Reference: c.Image, Policy: c.PullPolicy, Credentials: c.RegistryCredentials, Field: "properties.image"}
		return append([]activities.Image{own}, stepImages(c)...), nil
	case schemas.TypeDatabase:
		d, err := decode[schemas.Database](declared)
		if err != nil {
			return nil, err
		}
		engine, err := database.Find(p.databases, declared.Resource, d)
		if err != nil {
			return nil, err
		}
		policy := d.PullPolicy
		if policy == "" {
			policy = schemas.PullIfNotPresent
		}
		return []activities.Image{{Reference: engine.Image(d.Version), Policy: policy, Credentials: d.RegistryCredentials, Field: databaseImageField}}, nil
	default:
		return nil, nil
	}
}

// Pull implements activities.Provider.
func (p *Provider) Pull(ctx context.Context, image activities.Image, secrets activities.Secrets, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	named, err := parseImage(image)
	if err != nil {
		return err
	}
	if image.Policy != schemas.PullAlways {
		present, err := p.present(ctx, image)
		if err != nil || present {
			return err
		}
		if image.Policy == schemas.PullNever {
			return &activities.Fault{Kind: activities.NotFound, Field: image.Field,
				Message: fmt.Sprintf("the engine has no image %q, and the pull policy is Never", image.Reference),
				Hint:    "build or load the image, or use another pull policy"}
		}
	}
	credentials, err := registryAuth(named, image, secrets)
	if err != nil {
		return err
	}
	say("pulling " + image.Reference)
	if err := p.pull(ctx, image, credentials, say); err != nil {
		return transferFault(ctx, "pull", named, image, secrets, err)
	}
	present, err := p.present(ctx, image)
	if err == nil && !present {
		err = &activities.Fault{Kind: activities.Unavailable, Field: image.Field,
			Message: fmt.Sprintf("image %q is not there after it was pulled", image.Reference), Hint: "see the engine's log"}
	}
	if err == nil {
		p.logger.Info("pulled image", "image", image.Reference)
	}
	return err
}

func parseImage(image activities.Image) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(image.Reference)
	if err != nil {
		return nil, &activities.Fault{Kind: activities.Invalid, Field: image.Field,
			Message: fmt.Sprintf("%q is no image reference: %s", image.Reference, err), Hint: "write for example registry.example.com/team/app:1.2", Err: err}
	}
	return named, nil
}

// pull reads the engine's report to its end. What it says of an error there, it
// says after it has answered 200.
func (p *Provider) pull(ctx context.Context, image activities.Image, credentials string, say activities.Progress) error {
	report, err := p.engine.ImagePull(ctx, image.Reference, client.ImagePullOptions{RegistryAuth: credentials})
	if err != nil {
		return err
	}
	defer report.Close()
	return readTransfer(report, newLayers("pulling "+image.Reference, say))
}

// present says whether the engine has the image.
func (p *Provider) present(ctx context.Context, image activities.Image) (bool, error) {
	_, err := read(ctx, func(ctx context.Context) (client.ImageInspectResult, error) {
		return p.engine.ImageInspect(ctx, image.Reference)
	})
	switch {
	case err == nil:
		return true, nil
	case errdefs.IsNotFound(err):
		return false, nil
	}
	return false, engineFault(ctx, "", "look for image "+image.Reference, err)
}

// registryAuth is the header that logs in to the image's registry.
func registryAuth(named reference.Named, image activities.Image, secrets activities.Secrets) (string, error) {
	if image.Credentials == nil {
		return "", nil
	}
	password, err := secrets.Reveal(image.Credentials.Password)
	if err != nil {
		return "", err
	}
	header, err := authconfig.Encode(registry.AuthConfig{
		Username: image.Credentials.Username, Password: password, ServerAddress: reference.Domain(named),
	})
	if err != nil {
		// The error could quote what it was given.
		return "", &activities.Fault{Kind: activities.Invalid, Field: image.Field, Message: "the registry credentials cannot be encoded"}
	}
	return header, nil
}
