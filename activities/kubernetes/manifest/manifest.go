// Package manifest translates declared resources to objects of the Kubernetes API, and
// back as far as objects say what made them. It does no I/O.
package manifest

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// Options are what the provider knows of its cluster.
type Options struct {
	// GatewayAPI says that the cluster serves the Gateway API.
	GatewayAPI bool
	// GatewayClass, Gateway and IngressClass are those of the provider's configuration.
	GatewayClass string
	Gateway      string
	IngressClass string
	// PostgresImage, RedisImage and ValkeyImage are the images of Databases, in which
	// {version} stands for the declared version; empty are the official ones.
	PostgresImage string
	RedisImage    string
	ValkeyImage   string
}

// fields are the members of an object of the API.
type fields = map[string]any

// translation turns one declared resource into objects.
type translation struct {
	plan.Desired
	options Options
	secrets activities.Secrets
	objects []*unstructured.Unstructured
}

// Objects are the objects of a declared resource, in the order in which they are applied.
// A type of the API is named by strings alone, so that server-side apply owns what is
// said here and nothing that a Go type would add. The error is a *Fault of kind Invalid.
func Objects(d plan.Desired, o Options, secrets activities.Secrets) ([]*unstructured.Unstructured, error) {
	t := &translation{Desired: d, options: o, secrets: secrets}
	if err := t.translate(); err != nil {
		return nil, err
	}
	return t.objects, nil
}

func (t *translation) translate() error {
	switch t.Type {
	case schemas.TypeNetwork:
		return with(t, t.network)
	case schemas.TypeStorage:
		return with(t, t.storage)
	case schemas.TypeCompute:
		return with(t, t.compute)
	case schemas.TypeDatabase:
		return with(t, t.database)
	case schemas.TypeLoadBalancer:
		return with(t, t.loadBalancer)
	case schemas.TypeSecurityGroup:
		return with(t, t.securityGroup)
	}
	return t.invalid("type", fmt.Sprintf("type %q is not made of objects of its own", t.Type), "")
}

// with decodes the properties and translates them.
func with[T schemas.Network | schemas.Storage | schemas.Compute | schemas.Database | schemas.LoadBalancer | schemas.SecurityGroup](t *translation, translate func(T) error) error {
	declared, err := schemas.Decode[T](t.Declaration())
	if err != nil {
		return t.invalid("properties", err.Error(), "")
	}
	return translate(declared)
}

// Check refuses what the kind of provider cannot do, with the field.
func Check(d plan.Desired, o Options) error {
	if d.Type == schemas.TypeKubernetes {
		_, _, err := Raw(d, unrevealed{})
		return err
	}
	_, err := Objects(d, o, unrevealed{})
	return err
}

// unrevealed stands for secrets where they are not needed.
type unrevealed struct{}

// Reveal implements activities.Secrets.
func (unrevealed) Reveal(text string) (string, error) { return text, nil }

// Redact implements activities.Secrets.
func (unrevealed) Redact(text string) string { return text }

func (t *translation) invalid(field, message, hint string) error {
	return &activities.Fault{Kind: activities.Invalid, Resource: t.Resource, Field: field, Message: message, Hint: hint}
}

// add adds an object with the labels and annotations of the resource.
func (t *translation) add(apiVersion, kind, namespace, name string, members fields) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: fields{}}
	for key, value := range members {
		o.Object[key] = plain(value)
	}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetNamespace(namespace)
	o.SetName(name)
	o.SetLabels(Labels(t.Desired))
	o.SetAnnotations(Annotations(t.Desired))
	t.objects = append(t.objects, o)
	return o
}

// plain turns Go values into those that JSON has, as unstructured objects want them.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only what this package builds comes here, all of it of basic types
	}
	var out any
	if err := unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}
