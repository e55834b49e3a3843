package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"windlass/activities"
)

// transferFault explains why an image cannot be pulled, or pushed. The engine gives no usable
// status (20.10 answers 500 for nearly all of it), so that its text decides:
//
//   - Unauthorized: the registry wants other credentials, or any.
//   - NotFound: the registry says that there is no such image, or no registry of
//     that name exists. A name that ends in .local or .invalid never is one.
//   - Invalid: the registry's certificate is not trusted.
//   - Unavailable: everything else, such as a refused connection or a timeout.
func transferFault(ctx context.Context, verb string, named reference.Named, image activities.Image, secrets activities.Secrets, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", verb, image.Reference, ctx.Err())
	}
	domain := reference.Domain(named)
	f := &activities.Fault{Field: image.Field}
	text := secrets.Redact(engineMessage(err))
	switch {
	case client.IsErrConnectionFailed(err):
		return engineFault(ctx, "", verb+" "+image.Reference, err)
	case verb == "push" && unreachableName(domain):
		f.Kind = activities.NotFound
		f.Message = fmt.Sprintf("there is no registry %q to push %q to", domain, image.Reference)
		f.Hint = "tag the image with the name of a registry"
	case containsAny(text, "no such host") || unreachableName(domain):
		f.Kind = activities.NotFound
		f.Message = fmt.Sprintf("the engine has no image %q, and there is no registry %q to pull it from", image.Reference, domain)
		f.Hint = "build or load the image on the engine's host, or correct the name"
	case containsAny(text, "pull access denied", "manifest unknown", "name unknown", "repository name not known", "not found", "does not exist"):
		f.Kind = activities.NotFound
		f.Message = fmt.Sprintf("registry %s has no image %q: %s", domain, image.Reference, text)
		f.Hint = "correct name and tag; a registry may also say so of an image that needs other credentials"
	case containsAny(text, "unauthorized", "authentication required", "no basic auth credentials", "access denied", "denied:", "403 forbidden", "incorrect username or password"):
		f.Kind = activities.Unauthorized
		f.Message = fmt.Sprintf("registry %s refuses the credentials for %q: %s", domain, image.Reference, text)
		f.Hint = "correct registryCredentials"
		if image.Credentials == nil {
			f.Message = fmt.Sprintf("registry %s wants credentials for %q: %s", domain, image.Reference, text)
			f.Hint = "declare registryCredentials"
		}
	case containsAny(text, "no matching manifest", "no image found in manifest list"):
		f.Kind = activities.NotFound
		f.Message = fmt.Sprintf("image %q is not built for the engine's platform: %s", image.Reference, text)
		f.Hint = "use an image for this platform"
	case containsAny(text, "x509:", "http response to https client"):
		f.Kind = activities.Invalid
		f.Message = fmt.Sprintf("the engine does not trust registry %s: %s", domain, text)
		f.Hint = "make the registry's certificate known to the engine"
	default:
		f.Kind = activities.Unavailable
		f.Message = fmt.Sprintf("%s %s: registry %s: %s", verb, image.Reference, domain, text)
		f.Hint = "see whether the registry runs and can be reached from the engine's host"
	}
	return f
}

// unreachableName says whether no registry can have that name: .invalid is
// reserved for that, and .local for what is found without a name server.
func unreachableName(domain string) bool {
	host, _, _ := strings.Cut(domain, ":")
	return strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".invalid")
}
