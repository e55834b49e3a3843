// Package manifest translates declared resources to objects of the Kubernetes API, and
// back as far as objects say what made them. It does no I/O.
package manifest

import (
	"encoding/json"
	"fmt"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
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
// said here and nothing that a Go type would add. Without secrets, placeholders stand for
// themselves: such objects are there to be compared, and never to be applied. The error
// is a *Fault of kind Invalid, or whatever the secrets return.
func Objects(d plan.Desired, o Options, secrets activities.Secrets) ([]*unstructured.Unstructured, error) {
	t := &translation{Desired: d, options: o, secrets: secrets}
	if err := t.concealed(); err != nil {
		return nil, err
	}
	if err := t.translate(); err != nil {
		return nil, err
	}
	return t.objects, t.fits()
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
		_, err := (&translation{Desired: d}).rawObjects()
		return err
	}
	_, err := Objects(d, o, nil)
	return err
}

// reveal replaces the placeholders of secrets, where there is somebody to do it.
func (t *translation) reveal(text string) (string, error) {
	if t.secrets == nil {
		return text, nil
	}
	return t.secrets.Reveal(text)
}

// fits refuses a declaration that is too long for the annotations of its objects.
func (t *translation) fits() error {
	for _, o := range t.objects {
		if err := apivalidation.ValidateAnnotationsSize(o.GetAnnotations()); err != nil {
			return t.invalid("properties", fmt.Sprintf("the declaration is too long to be kept with the objects, which have room for %d bytes", apivalidation.TotalAnnotationSizeLimitB), "have the containers read long texts from a volume or from the image")
		}
	}
	return nil
}

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
