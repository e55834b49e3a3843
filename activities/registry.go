package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ImageRegistry moves images between an engine and the registries that their
// references name. Credentials are those of the image. Errors are of type *Fault:
// NotFound is an image or repository that the registry does not have, Unauthorized one
// for which credentials are missing or refused, Unavailable a registry that does not
// answer, and Invalid a reference that is none.
type ImageRegistry interface {
	// Pull makes an image available as its policy says.
	Pull(ctx context.Context, image Image, secrets Secrets, progress Progress) error
	// Push gives the registry an image that the engine has.
	Push(ctx context.Context, image Image, secrets Secrets, progress Progress) error
	// Tags lists the tags of the image's repository, in the order of their names.
	Tags(ctx context.Context, image Image, secrets Secrets) ([]string, error)
}

// namedTags is how many tags a fault names.
const namedTags = 10

// withTags adds to the fault of an image that is not there what the repository has.
func withTags(err error, tags []string) error {
	var fault *Fault
	if !errors.As(err, &fault) {
		return err
	}
	known := *fault
	known.Hint = "the repository has the tags " + strings.Join(tags[max(0, len(tags)-namedTags):], ", ")
	if n := len(tags) - namedTags; n > 0 {
		known.Hint += fmt.Sprintf(" and %d more", n)
	}
	return &known
}
