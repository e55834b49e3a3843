package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

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
	// The middle of three parts may be a version, or the beginning of a group.
	versioned, grouped := schema.ParseResourceArg(word)
	groups := []string{grouped.Group}
	if versioned != nil {
		groups = append(groups, versioned.Group)
	}
	kind, err := find(ctx, c.catalogues, func(known *catalogue) (schema.GroupVersionKind, error) {
		if versioned != nil {
			if kind, err := known.words.KindForWithContext(ctx, *versioned); !meta.IsNoMatchError(err) {
				return kind, err
			}
		}
		return known.words.KindForWithContext(ctx, grouped.WithVersion(""))
	}, groups...)
	var ambiguous *meta.AmbiguousResourceError
	switch {
	case err == nil:
		return kind, nil
	case meta.IsNoMatchError(err):
		f := &activities.Fault{Kind: activities.Invalid, Message: fmt.Sprintf("the cluster of provider %q has no kind that is called %q", c.name, word),
			Hint: "write the kind, its plural or its short name, with the group where that is needed, such as deployments.apps", Err: err}
		if known, err := c.catalogues.get(ctx); err == nil && len(known.silent) > 0 {
			f.Message += "; what serves the API groups " + strings.Join(known.silent, ", ") + " does not answer"
		}
		return kind, f
	case errors.As(err, &ambiguous):
		return kind, &activities.Fault{Kind: activities.Invalid, Message: fmt.Sprintf("the cluster of provider %q has several kinds that are called %q: %v", c.name, word, ambiguous.MatchingKinds),
			Hint: "write the plural with the group, such as deployments.apps", Err: err}
	}
	return kind, c.fault(ctx, "ask the server for its kinds", err)
}

// Unserved says which kind of a custom resource definition the server does not serve, and
// why where that is known. It is empty when it serves all of them, and for every other
// object. The server begins to a moment after the definition says that it is established.
func (c *Client) Unserved(ctx context.Context, o *unstructured.Unstructured) string {
	if o.GetKind() != "CustomResourceDefinition" {
		return ""
	}
	kind := schema.GroupVersionKind{}
	kind.Group, _, _ = unstructured.NestedString(o.Object, "spec", "group")
	kind.Kind, _, _ = unstructured.NestedString(o.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if version["served"] != true {
			continue
		}
		kind.Version, _, _ = unstructured.NestedString(version, "name")
		served, err := c.Serves(ctx, kind)
		if err == nil && !served {
			c.Rediscover()
			served, err = c.Serves(ctx, kind)
		}
		switch {
		case err != nil:
			return err.Error()
		case !served:
			return fmt.Sprintf("the server does not serve the kind %s of %s yet", kind.Kind, kind.GroupVersion())
		}
	}
	return ""
}
