package docker

import (
	"context"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/schemas"
)

func TestTagsOfARepository(t *testing.T) {
	t.Parallel()
	open, locked := startRegistry(t, false), startRegistry(t, true)
	for name, c := range map[string]struct {
		image activities.Image
		// kind is empty when the tags are listed.
		kind    activities.FaultKind
		message string
	}{
		"of an open registry":             {activities.Image{Reference: open}, "", ""},
		"of a tag that is not there":      {activities.Image{Reference: strings.TrimSuffix(open, "1") + "2"}, "", ""},
		"with the right password":         {activities.Image{Reference: locked, Credentials: puller("RIGHT")}, "", ""},
		"with the wrong password":         {activities.Image{Reference: locked, Credentials: puller("WRONG")}, activities.Unauthorized, "does not let the tags"},
		"without a password":              {activities.Image{Reference: locked}, activities.Unauthorized, "does not let the tags"},
		"of no repository":                {activities.Image{Reference: strings.Replace(open, "/team/", "/other/", 1)}, activities.NotFound, `has no repository "other/`},
		"of a registry that is down":      {activities.Image{Reference: "127.0.0.1:1/nothing:1"}, activities.Unavailable, "connection refused"},
		"of a name that is no registry's": {activities.Image{Reference: "windlass.local/nothing:1"}, activities.NotFound, `no registry "windlass.local"`},
		"of a text that is no reference":  {activities.Image{Reference: "No Image!"}, activities.Invalid, "No Image!"},
	} {
		t.Run(name, func(t *testing.T) {
			tags, err := newProvider(t, "").Tags(t.Context(), c.image, registrySecrets(t))
			if c.kind == "" {
				require.NoError(t, err)
				require.Equal(t, []string{"1"}, tags)
				return
			}
			f := requireFault(t, err, c.kind)
			require.Contains(t, f.Message, c.message)
			require.NotContains(t, f.Error(), "wrong-password")
		})
	}
}

func puller(secret string) *schemas.RegistryCredentials {
	return &schemas.RegistryCredentials{Username: "puller", Password: "${secret." + secret + "}"}
}

// What was pushed is listed, and is pulled again once the engine has lost it.
func TestAnImageGoesToARegistryAndComesBack(t *testing.T) {
	t.Parallel()
	for name, credentials := range map[string]*schemas.RegistryCredentials{"open": nil, "locked": puller("RIGHT")} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			image := activities.Image{Reference: strings.TrimSuffix(startRegistry(t, credentials != nil), "1") + "pushed", Credentials: credentials, Policy: schemas.PullAlways}
			_, err := l.engine.ImageTag(t.Context(), client.ImageTagOptions{Source: images.FixtureReference, Target: image.Reference})
			require.NoError(t, err)
			untag := func(ctx context.Context) {
				_, _ = l.engine.ImageRemove(ctx, image.Reference, client.ImageRemoveOptions{})
			}
			t.Cleanup(func() { untag(context.Background()) })
			for range 2 { // the second time the registry has it
				require.NoError(t, l.provider.Push(t.Context(), image, registrySecrets(t), l.spoken.say))
			}
			require.Contains(t, l.spoken.String(), "pushing "+image.Reference+": ")
			tags, err := l.provider.Tags(t.Context(), image, registrySecrets(t))
			require.NoError(t, err)
			require.Equal(t, []string{"1", "pushed"}, tags)
			untag(t.Context())
			require.NoError(t, l.provider.Pull(t.Context(), image, registrySecrets(t), l.spoken.say))
		})
	}
}

func TestWhatCannotBePushedSaysWhy(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	locked := startRegistry(t, true)
	_, err := l.engine.ImageTag(t.Context(), client.ImageTagOptions{Source: images.FixtureReference, Target: locked})
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = l.engine.ImageRemove(context.Background(), locked, client.ImageRemoveOptions{}) })
	for name, c := range map[string]struct {
		image   activities.Image
		kind    activities.FaultKind
		message string
	}{
		"the wrong password":          {activities.Image{Reference: locked, Credentials: puller("WRONG")}, activities.Unauthorized, "refuses the credentials"},
		"no password":                 {activities.Image{Reference: locked}, activities.Unauthorized, "wants credentials"},
		"no image":                    {activities.Image{Reference: "127.0.0.1:1/nothing:1"}, activities.NotFound, "has no image"},
		"no registry of that name":    {activities.Image{Reference: images.FixtureReference}, activities.NotFound, `no registry "windlass.local"`},
		"a digest":                    {activities.Image{Reference: "127.0.0.1:1/nothing@sha256:" + strings.Repeat("a", 64)}, activities.Invalid, "names a digest"},
		"a text that is no reference": {activities.Image{Reference: "No Image!"}, activities.Invalid, "No Image!"},
	} {
		t.Run(name, func(t *testing.T) {
			f := requireFault(t, l.provider.Push(t.Context(), c.image, registrySecrets(t), l.spoken.say), c.kind)
			require.Contains(t, f.Message, c.message)
			require.NotContains(t, f.Error(), "wrong-password")
		})
	}
}
