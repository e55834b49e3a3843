package cluster

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"

	"windlass/activities"
)

// KindOf finds the kind that people call so: by its name, its plural or a short name, and
// where that is not enough with its group, such as Deployment, deployments, deploy or
// deployments.apps. Where several groups have it, the one counts that the server prefers.
// A kind that the server does not have is a *Fault of kind Invalid.
func (c *Client) KindOf(ctx context.Context, word string) (schema.GroupVersionKind, error) {
	if word == "" {
		return schema.GroupVersionKind{}, &activities.Fault{Kind: activities.Invalid, Field: "kind", Message: "is empty", Hint: "name a kind, such as Deployment"}
	}
	kind, err := c.kindOf(ctx, word)
	if meta.IsNoMatchError(err) {
		c.Rediscover() // people may ask for what they installed a moment ago
		kind, err = c.kindOf(ctx, word)
	}
	var ambiguous *meta.AmbiguousResourceError
	switch {
	case err == nil:
		return kind, nil
	case meta.IsNoMatchError(err):
		return kind, &activities.Fault{Kind: activities.Invalid, Message: fmt.Sprintf("the cluster of provider %q has no kind that is called %q", c.name, word),
			Hint: "write the kind, its plural or its short name, with the group where that is needed, such as deployments.apps", Err: err}
	case errors.As(err, &ambiguous):
		return kind, &activities.Fault{Kind: activities.Invalid, Message: fmt.Sprintf("the cluster of provider %q has several kinds that are called %q: %v", c.name, word, ambiguous.MatchingKinds),
			Hint: "write the plural with the group, such as deployments.apps", Err: err}
	}
	return kind, c.fault(ctx, "ask the server for its kinds", err)
}

func (c *Client) kindOf(ctx context.Context, word string) (schema.GroupVersionKind, error) {
	expander := restmapper.NewShortcutExpanderWithContext(c.mapper, discovery.ToDiscoveryInterfaceWithContext(c.server), nil)
	// The middle of three parts may be a version, or the beginning of a group.
	versioned, grouped := schema.ParseResourceArg(word)
	if versioned != nil {
		if kind, err := expander.KindForWithContext(ctx, *versioned); !meta.IsNoMatchError(err) {
			return kind, err
		}
	}
	return expander.KindForWithContext(ctx, grouped.WithVersion(""))
}
