package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/activities/docker/packetfilter"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// Observe implements activities.Provider. It returns one entry per resource,
// ordered by name and type.
func (p *Provider) Observe(ctx context.Context, scope schemas.Scope) ([]plan.Observed, error) {
	labels := p.scopeLabels(scope)
	found := newObservation()
	containers, networks, volumes, err := p.labelled(ctx, labels)
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		found.object(n.Labels)
	}
	for _, v := range volumes {
		found.object(v.Labels)
		s := found.sighting(v.Labels)
		s.retained += retained(v.Labels)
		if v.Labels[activities.LabelAdopts] != "" {
			if err := p.observeAdoption(ctx, v.Labels, s); err != nil {
				return nil, err
			}
		}
	}
	groups, err := p.observeGroups(ctx, labels, containers)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		found.object(g.labels)
		found.sighting(g.labels).changes = g.changes
	}
	_, containers = separateAside(containers)
	steps, containers := separateSteps(containers)
	replicas, err := p.observeReplicas(ctx, containers)
	if err != nil {
		return nil, err
	}
	for i, c := range containers {
		if replicas[i] == nil {
			continue
		}
		labels, err := p.declaredLabels(ctx, c, replicas[i], containers)
		if err != nil {
			return nil, err
		}
		found.replica(labels, *replicas[i])
	}
	// After the replicas: the first of them makes count no more what was noted before.
	for _, c := range steps {
		found.step(c)
	}
	return found.resources(), nil
}

// labelled lists what carries the labels.
func (p *Provider) labelled(ctx context.Context, labels map[string]string) ([]listed, []network.Summary, []volume.Volume, error) {
	containers, err := p.listContainers(ctx, "", labels)
	if err != nil {
		return nil, nil, nil, err
	}
	networks, err := read(ctx, func(ctx context.Context) (client.NetworkListResult, error) {
		return p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: labelFilter(labels)})
	})
	if err != nil {
		return nil, nil, nil, engineFault(ctx, "", "list the networks", err)
	}
	volumes, err := read(ctx, func(ctx context.Context) (client.VolumeListResult, error) {
		return p.engine.VolumeList(ctx, client.VolumeListOptions{Filters: labelFilter(labels)})
	})
	if err != nil {
		return nil, nil, nil, engineFault(ctx, "", "list the volumes", err)
	}
	return containers,
		slices.DeleteFunc(networks.Items, func(n network.Summary) bool { return !carries(n.Labels, labels) }),
		slices.DeleteFunc(volumes.Items, func(v volume.Volume) bool { return !carries(v.Labels, labels) }), nil
}

// Scopes implements activities.Provider.
func (p *Provider) Scopes(ctx context.Context) ([]schemas.Scope, error) {
	containers, networks, volumes, err := p.labelled(ctx, map[string]string{activities.LabelProvider: p.name})
	if err != nil {
		return nil, err
	}
	held := map[schemas.Scope]bool{}
	note := func(labels map[string]string) {
		if labels[activities.LabelInfrastructure] == schemas.ContainersName {
			return // single containers are no Infrastructure
		}
		held[schemas.Scope{Environment: labels[activities.LabelEnvironment], Infrastructure: labels[activities.LabelInfrastructure]}] = true
	}
	for _, c := range containers {
		note(c.Labels)
	}
	for _, n := range networks {
		note(n.Labels)
	}
	for _, v := range volumes {
		note(v.Labels)
	}
	groups, err := p.groups()
	if err != nil && !errors.Is(err, packetfilter.ErrNotPermitted) {
		return nil, filterFault(ctx, "", err)
	}
	for _, g := range groups {
		note(g.Labels)
	}
	return slices.Collect(maps.Keys(held)), nil
}

// observeReplicas inspects the containers and checks their health, side by side.
// A container that is gone meanwhile is nil.
func (p *Provider) observeReplicas(ctx context.Context, containers []listed) ([]*plan.Replica, error) {
	replicas := make([]*plan.Replica, len(containers))
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(observationParallelism)
	for i, c := range containers {
		group.Go(func() error {
			full, err := p.inspect(groupContext, c.Labels[activities.LabelResource], c.ID)
			if err != nil || full == nil {
				return err
			}
			r := observeReplica(groupContext, full)
			replicas[i] = &r
			return nil
		})
	}
	err := group.Wait()
	return replicas, err
}

// observationParallelism bounds how many containers are looked at side by side.
const observationParallelism = 16

// observation gathers the objects of each resource.
type observation struct {
	byTarget map[plan.Target]*sighting
}

// sighting is what was seen of one resource.
type sighting struct {
	observed plan.Observed
	// declared is how many replicas there should be.
	declared int
	// hashes are the spec hashes of what decides the version: the containers of a
	// resource that has any, else the network or volume.
	hashes  []string
	objects int
	// changes says in words what was changed by hand of what is no container.
	changes []string
	// steps says in words which init steps are there.
	steps []string
	// retained are how many of the objects are to outlive their declaration.
	retained int
}

// retained is 1 for the labels of a retained volume.
func retained(labels map[string]string) int {
	if retentionOf(labels) == schemas.RetentionRetain {
		return 1
	}
	return 0
}

func newObservation() *observation { return &observation{byTarget: map[plan.Target]*sighting{}} }

func (o *observation) sighting(labels map[string]string) *sighting {
	t := targetOf(labels)
	s := o.byTarget[t]
	if s == nil {
		s = &sighting{observed: plan.Observed{Target: t, Revision: -1}}
		o.byTarget[t] = s
	}
	return s
}

// describe takes over what the labels of the newest object say.
func (s *sighting) describe(labels map[string]string) {
	revision, err := strconv.Atoi(labels[activities.LabelRevision])
	if err != nil || revision < s.observed.Revision {
		return
	}
	s.observed.Revision = revision
	s.observed.Protected = s.observed.Protected || labels[activities.LabelProtect] == "true"
	// A bound that cannot be read is none.
	bound, _ := time.ParseDuration(labels[activities.LabelDeleteTimeout])
	s.observed.DeleteTimeout = quantity.Duration(bound)
	s.observed.DependsOn = separated(labels[activities.LabelDependsOn])
	s.declared, _ = strconv.Atoi(labels[activities.LabelReplicas]) // Missing on what has no replicas.
	s.observed.Properties = json.RawMessage(labels[activities.LabelProperties])
	s.observed.Outputs = nil
	// Outputs that cannot be read are none: they are predicted from the declaration anyway.
	_ = json.Unmarshal([]byte(labels[activities.LabelOutputs]), &s.observed.Outputs)
}

// object notes a network or volume.
func (o *observation) object(labels map[string]string) {
	s := o.sighting(labels)
	s.describe(labels)
	s.hashes = append(s.hashes, labels[activities.LabelSpec])
	s.objects++
}

// replica notes a container. The volume of a Database keeps the labels of its
// first version, so that the containers alone decide which version there is.
func (o *observation) replica(labels map[string]string, r plan.Replica) {
	s := o.sighting(labels)
	if len(s.observed.Replicas) == 0 {
		s.hashes, s.observed.Revision = nil, -1
	}
	s.describe(labels)
	s.hashes = append(s.hashes, r.SpecHash)
	s.observed.Replicas = append(s.observed.Replicas, r)
}

// step notes a container of an init step. It is removed as soon as its replica is
// made, so that one that is there is a sign of work that was not finished.
func (o *observation) step(c listed) {
	s := o.sighting(c.Labels)
	s.describe(c.Labels)
	s.hashes = append(s.hashes, c.Labels[activities.LabelSpec])
	s.steps = append(s.steps, fmt.Sprintf("init step %s of replica %d is %s", c.step(), c.index(), c.State))
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
	s.observed.Retained = s.retained > 0 && s.retained == s.objects && len(s.observed.Replicas) == 0
	reasons := s.troubles()
	s.observed.State, s.observed.Reason = plan.StateReady, strings.Join(reasons, "; ")
	if len(reasons) > 0 {
		s.observed.State = plan.StateDegraded
	}
	slices.Sort(s.hashes)
	if s.hashes = slices.Compact(s.hashes); len(s.hashes) == 1 {
		s.observed.SpecHash = s.hashes[0]
	}
	return s.observed
}

// troubles says in words what is wrong with the resource.
func (s *sighting) troubles() []string {
	var reasons []string
	t := s.observed.Type
	if t == schemas.TypeDatabase {
		s.declared = 1
		if s.objects == 0 {
			reasons = append(reasons, "the data volume is missing")
		}
	}
	if (t == schemas.TypeNetwork || t == schemas.TypeStorage) && s.objects > 1 {
		reasons = append(reasons, fmt.Sprintf("there are %d objects instead of one", s.objects))
	}
	versions := slices.Compact(slices.Sorted(slices.Values(s.hashes)))
	if len(versions) > 1 {
		reasons = append(reasons, "there are objects of several versions")
	}
	seen := map[int]bool{}
	for _, r := range s.observed.Replicas {
		seen[r.Index] = true
		if trouble := replicaTrouble(r); trouble != "" {
			reasons = append(reasons, trouble)
		}
		if r.Index >= s.declared {
			reasons = append(reasons, fmt.Sprintf("replica %d is not declared", r.Index))
		}
	}
	for index := range s.declared {
		if !seen[index] {
			reasons = append(reasons, fmt.Sprintf("replica %d is missing", index))
		}
	}
	return slices.Concat(reasons, s.changes, s.steps)
}
