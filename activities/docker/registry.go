package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"windlass/activities"
)

var _ activities.ImageRegistry = (*Provider)(nil)

// Push implements activities.ImageRegistry.
func (p *Provider) Push(ctx context.Context, image activities.Image, secrets activities.Secrets, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	named, err := parseImage(image)
	if err != nil {
		return err
	}
	if _, digested := named.(reference.Digested); digested {
		return &activities.Fault{Kind: activities.Invalid, Field: image.Field,
			Message: fmt.Sprintf("%q names a digest, which a registry finds out by itself", image.Reference), Hint: "push a tag"}
	}
	present, err := p.present(ctx, image)
	if err != nil {
		return err
	}
	if !present {
		return &activities.Fault{Kind: activities.NotFound, Field: image.Field,
			Message: fmt.Sprintf("the engine has no image %q to push", image.Reference), Hint: "build, load or tag it first"}
	}
	credentials, err := registryAuth(named, image, secrets)
	if credentials == "" && err == nil {
		credentials, err = authconfig.Encode(registry.AuthConfig{}) // a push wants the header in any case
	}
	if err != nil {
		return err
	}
	say("pushing " + image.Reference)
	report, err := p.engine.ImagePush(ctx, image.Reference, client.ImagePushOptions{RegistryAuth: credentials})
	if err == nil {
		defer report.Close()
		err = readTransfer(report, newLayers("pushing "+image.Reference, say))
	}
	if err != nil {
		return transferFault(ctx, "push", named, image, secrets, err)
	}
	p.logger.Info("pushed image", "image", image.Reference)
	return nil
}

// Tags implements activities.ImageRegistry. It asks the registry itself, from where
// this process runs.
func (p *Provider) Tags(ctx context.Context, image activities.Image, secrets activities.Secrets) ([]string, error) {
	named, err := parseImage(image)
	if err != nil {
		return nil, err
	}
	if domain := reference.Domain(named); unreachableName(domain) {
		return nil, &activities.Fault{Kind: activities.NotFound, Field: image.Field, Message: fmt.Sprintf("there is no registry %q", domain)}
	}
	repository, err := name.NewRepository(named.Name())
	if err != nil {
		return nil, &activities.Fault{Kind: activities.Invalid, Field: image.Field, Message: err.Error(), Err: err}
	}
	login := authn.Anonymous
	if image.Credentials != nil {
		password, err := secrets.Reveal(image.Credentials.Password)
		if err != nil {
			return nil, err
		}
		login = &authn.Basic{Username: image.Credentials.Username, Password: password}
	}
	tags, err := read(ctx, func(ctx context.Context) ([]string, error) {
		return remote.List(repository, remote.WithContext(ctx), remote.WithAuth(login))
	})
	if err != nil {
		return nil, listFault(ctx, repository, image, secrets, err)
	}
	slices.Sort(tags)
	return tags, nil
}

func listFault(ctx context.Context, repository name.Repository, image activities.Image, secrets activities.Secrets, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("list the tags of %s: %w", repository, ctx.Err())
	}
	f := &activities.Fault{Kind: activities.Unavailable, Field: image.Field,
		Message: fmt.Sprintf("list the tags of %s: %s", repository, secrets.Redact(err.Error())),
		Hint:    "see whether the registry runs and can be reached from the worker's host"}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return f
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		f.Kind, f.Message, f.Hint = activities.NotFound, fmt.Sprintf("registry %s has no repository %q", repository.RegistryStr(), repository.RepositoryStr()), "correct the name"
	case http.StatusUnauthorized, http.StatusForbidden:
		f.Kind, f.Hint = activities.Unauthorized, "correct registryCredentials"
		f.Message = fmt.Sprintf("registry %s does not let the tags of %q be listed with these credentials", repository.RegistryStr(), repository.RepositoryStr())
	}
	return f
}
