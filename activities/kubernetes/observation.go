package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// Observe implements activities.Provider. It returns one entry per resource, ordered by
// name and type.
func (p *Provider) Observe(ctx context.Context, scope schemas.Scope) ([]plan.Observed, error) {
	found := observation{byTarget: map[plan.Target]*sighting{}}
	kinds, err := p.kinds(ctx, allTypes()...)
	if err != nil {
		return nil, err
	}
	labels := p.scopeLabels(scope)
	for _, kind := range kinds {
		_, err := p.client.List(ctx, cluster.ListOptions{Kind: kind, Labels: selector(labels)}, func(o *unstructured.Unstructured) error {
			found.object(o)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := p.observeRaw(ctx, scope, &found); err != nil {
		return nil, err
	}
	_, err = p.client.List(ctx, cluster.ListOptions{Kind: kindPod, Labels: selector(labels)}, func(o *unstructured.Unstructured) error {
		found.pod(o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, s := range found.byTarget {
		if err := p.judge(ctx, s); err != nil {
			return nil, err
		}
	}
	return found.resources(), nil
}

// observation gathers the objects of each resource.
type observation struct {
	byTarget map[plan.Target]*sighting
}

// sighting is what was seen of one resource.
type sighting struct {
	observed plan.Observed
	// objects are its objects, newest the one of the newest revision.
	objects []*unstructured.Unstructured
	newest  *unstructured.Unstructured
	// hashes are the spec hashes of its objects.
	hashes []string
	// retained are how many of the objects are to outlive their declaration.
	retained int
	// troubles says in words what is wrong.
	troubles []string
}

func (o *observation) of(labels map[string]string) *sighting {
	t := manifest.TargetOf(labels)
	s := o.byTarget[t]
	if s == nil {
		s = &sighting{observed: plan.Observed{Target: t, Revision: -1}}
		o.byTarget[t] = s
	}
	return s
}

// object notes an object. A namespace of the scope alone is no resource, and objects of
// type Kubernetes are looked at where their inventory is.
func (o *observation) object(found *unstructured.Unstructured) {
	if found.GetLabels()[manifest.LabelResource] == "" || found.GetAnnotations()[manifest.AnnotationApplied] != "" {
		return
	}
	s := o.of(found.GetLabels())
	s.show(found)
	if ofCanary(found) {
		return // a rollout looks after it
	}
	s.objects = append(s.objects, found)
	s.hashes = append(s.hashes, found.GetAnnotations()[manifest.AnnotationSpec])
	if retained(found) {
		s.retained++
	}
	if found.GetDeletionTimestamp() != nil {
		s.troubles = append(s.troubles, named(found)+" is being removed")
	}
	s.describe(found)
}

// show notes an object for people.
func (s *sighting) show(o *unstructured.Unstructured) {
	ready, message, _ := cluster.Status(o)
	if o.GroupVersionKind() == kindClaim && !ready {
		ready = true // it may be bound only when a pod asks for it; the message says so
	} else if ready {
		message = ""
	}
	s.observed.Objects = append(s.observed.Objects, schemas.ResourceObject{
		Resource: s.observed.Resource, Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Ready: ready, Message: message,
	})
}

// describe takes over what the annotations of the newest object say.
func (s *sighting) describe(o *unstructured.Unstructured) {
	annotations := o.GetAnnotations()
	revision, err := strconv.Atoi(annotations[manifest.AnnotationRevision])
	if err != nil || revision <= s.observed.Revision {
		return
	}
	s.newest, s.observed.Revision = o, revision
	s.observed.Protected = s.observed.Protected || annotations[manifest.AnnotationProtect] == "true"
	// A bound that cannot be read is none.
	bound, _ := time.ParseDuration(annotations[manifest.AnnotationDeleteTimeout])
	s.observed.DeleteTimeout = quantity.Duration(bound)
	s.observed.DependsOn = nil
	if names := annotations[manifest.AnnotationDependsOn]; names != "" {
		s.observed.DependsOn = strings.Split(names, ",")
	}
	s.observed.Properties = json.RawMessage(annotations[manifest.AnnotationProperties])
	s.observed.Adopted = annotations[manifest.AnnotationAdopts]
	s.observed.Outputs = nil
	// Outputs that cannot be read are none: they are predicted from the declaration anyway.
	_ = json.Unmarshal([]byte(annotations[manifest.AnnotationOutputs]), &s.observed.Outputs)
}

// judge finds out what is wrong with a resource.
func (p *Provider) judge(ctx context.Context, s *sighting) error {
	if s.observed.Type != schemas.TypeKubernetes && s.newest != nil {
		troubles, err := p.compare(ctx, s)
		if err != nil {
			return err
		}
		s.troubles = append(s.troubles, troubles...)
	}
	for _, o := range s.objects {
		if trouble := unready(o); trouble != "" {
			s.troubles = append(s.troubles, trouble)
		}
	}
	return nil
}

// compare holds the objects of a resource against what its newest declaration makes.
func (p *Provider) compare(ctx context.Context, s *sighting) ([]string, error) {
	options, err := p.offered(ctx)
	if err != nil {
		return nil, err
	}
	declared, err := manifest.DesiredOf(s.newest)
	if err != nil {
		return []string{"its annotations were changed: " + err.Error()}, nil
	}
	expected, err := manifest.Objects(declared, options, nil)
	if err != nil {
		return []string{"its annotations were changed: " + err.Error()}, nil
	}
	live := map[cluster.Reference]*unstructured.Unstructured{}
	for _, o := range s.objects {
		live[cluster.ReferenceOf(o)] = o
	}
	var troubles []string
	for _, want := range expected {
		found := live[cluster.ReferenceOf(want)]
		delete(live, cluster.ReferenceOf(want))
		if found == nil {
			troubles = append(troubles, named(want)+" is missing")
			continue
		}
		changes, err := p.drift(ctx, found, want)
		if err != nil {
			return nil, err
		}
		troubles = append(troubles, changes...)
	}
	for _, left := range live {
		if !retained(left) {
			troubles = append(troubles, named(left)+" is left from an earlier version")
		}
	}
	slices.Sort(troubles)
	return troubles, nil
}

func (o *observation) resources() []plan.Observed {
	var all []plan.Observed
	for _, s := range o.byTarget {
		all = append(all, s.finish())
	}
	slices.SortFunc(all, func(a, b plan.Observed) int {
		return strings.Compare(a.Resource+"\x00"+string(a.Type), b.Resource+"\x00"+string(b.Type))
	})
	return all
}

func (s *sighting) finish() plan.Observed {
	s.observed.Revision = max(s.observed.Revision, 0)
	slices.SortFunc(s.observed.Replicas, func(a, b plan.Replica) int { return strings.Compare(a.Name, b.Name) })
	for i := range s.observed.Replicas {
		s.observed.Replicas[i].Index = i
	}
	s.observed.Retained = s.retained > 0 && s.retained == len(s.objects)
	versions := slices.Compact(slices.Sorted(slices.Values(s.hashes)))
	if len(versions) == 1 {
		s.observed.SpecHash = versions[0]
	} else {
		s.troubles = append(s.troubles, "there are objects of several versions")
	}
	slices.SortFunc(s.observed.Objects, func(a, b schemas.ResourceObject) int {
		return strings.Compare(a.Kind+"\x00"+a.Namespace+"\x00"+a.Name, b.Kind+"\x00"+b.Namespace+"\x00"+b.Name)
	})
	s.observed.State, s.observed.Reason = plan.StateReady, strings.Join(s.troubles, "; ")
	if len(s.troubles) > 0 {
		s.observed.State = plan.StateDegraded
	}
	return s.observed
}

// Scopes implements activities.Provider.
func (p *Provider) Scopes(ctx context.Context) ([]schemas.Scope, error) {
	kinds, err := p.kinds(ctx, allTypes()...)
	if err != nil {
		return nil, err
	}
	held := map[schemas.Scope]bool{}
	for _, kind := range kinds {
		options := cluster.ListOptions{Kind: kind, Labels: selector(map[string]string{manifest.LabelProvider: p.name})}
		_, err := p.client.List(ctx, options, func(o *unstructured.Unstructured) error {
			held[manifest.TargetOf(o.GetLabels()).Scope] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	scopes := make([]schemas.Scope, 0, len(held))
	for scope := range held {
		scopes = append(scopes, scope)
	}
	slices.SortFunc(scopes, func(a, b schemas.Scope) int { return strings.Compare(a.String(), b.String()) })
	return scopes, nil
}

// unready says in words why an object is not as it should be; empty is nothing.
func unready(o *unstructured.Unstructured) string {
	if waits(o.GroupVersionKind()) {
		if ready, message, _ := cluster.Status(o); !ready {
			return fmt.Sprintf("%s is not ready: %s", named(o), message)
		}
	}
	return ""
}

// waits says whether objects of a kind are ready only some time after they were made.
// A claim is not among them: a volume may be bound only when a pod asks for it.
func waits(kind schemaKind) bool {
	return kind == kindDeployment || kind == kindStatefulSet || kind == kindJob
}
