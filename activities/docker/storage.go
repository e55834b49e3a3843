package docker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// defaultDriver is the volume driver of a Storage that names none.
const defaultDriver = "local"

// applyStorage makes the volume. One that is there stays as it is: Permit has
// refused what would have to change it.
func (p *Provider) applyStorage(ctx context.Context, d plan.Desired, outputs schemas.Outputs, say activities.Progress) error {
	declared, err := decode[schemas.Storage](d)
	if err != nil {
		return err
	}
	if declared.Adopt != "" {
		return p.adopt(ctx, d, declared.Adopt, outputs, say)
	}
	return p.ensureStorage(ctx, d, objectName(d.Target), declared, outputs, say)
}

// ensureStorage makes the volume of that name as it is declared.
func (p *Provider) ensureStorage(ctx context.Context, d plan.Desired, name string, declared schemas.Storage, outputs schemas.Outputs, say activities.Progress) error {
	labels, err := objectLabels(d, outputs, declared.Labels)
	if err != nil {
		return err
	}
	labels[activities.LabelRetention] = string(cmp.Or(declared.Retention, schemas.RetentionDelete))
	options, err := driverOptions(d, declared)
	if err != nil {
		return err
	}
	return p.ensureVolume(ctx, d, name, cmp.Or(declared.Driver, defaultDriver), options, labels, say)
}

// driverOptions are what the volume driver is told. In memory the size is an option
// of the mount, elsewhere one of the driver.
func driverOptions(d plan.Desired, declared schemas.Storage) (map[string]string, error) {
	if declared.Size == "" {
		return declared.Options, nil
	}
	bytes, err := declared.Size.Bytes()
	if err != nil {
		return nil, &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.size", Message: err.Error(), Err: err}
	}
	size := strconv.FormatInt(bytes, 10)
	options := maps.Clone(declared.Options)
	if options == nil {
		options = map[string]string{}
	}
	if options["type"] == "tmpfs" {
		options["o"] = strings.TrimPrefix(options["o"]+",size="+size, ",")
		return options, nil
	}
	options["size"] = size
	return options, nil
}

// ensureVolume makes the volume of that name when there is none.
func (p *Provider) ensureVolume(ctx context.Context, d plan.Desired, name, driver string, options, labels map[string]string, say activities.Progress) error {
	found, err := p.volume(ctx, d.Resource, name)
	if err != nil {
		return err
	}
	if found == nil {
		say("creating volume " + name)
		// A name that was taken meanwhile is no error for the engine: the answer is
		// then that other volume, and its labels tell.
		made, err := settle(ctx, func(ctx context.Context) (client.VolumeCreateResult, error) {
			return p.engine.VolumeCreate(ctx, client.VolumeCreateOptions{
				Name: name, Driver: driver, DriverOpts: options, Labels: labels,
			})
		})
		if err != nil {
			return storageFault(ctx, d, err)
		}
		p.logger.Info("created volume", "volume", name)
		found = &made.Volume
	}
	if !owned(found.Labels, d.Target) {
		return foreign(d.Resource, "volume", name)
	}
	return nil
}

// retentionOf reads the labels of a volume; one made without the label is deleted.
func retentionOf(labels map[string]string) schemas.Retention {
	return cmp.Or(schemas.Retention(labels[activities.LabelRetention]), schemas.RetentionDelete)
}

func storageFault(ctx context.Context, d plan.Desired, err error) error {
	switch {
	case containsAny(err.Error(), "error looking up volume plugin", "no volume plugin with name"):
		return &activities.Fault{Kind: activities.NotFound, Resource: d.Resource, Field: "properties.driver",
			Message: "the engine has no such volume driver: " + engineMessage(err), Hint: "install the driver's plugin, or use local", Err: err}
	case containsAny(err.Error(), "quota"):
		return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.size",
			Message: "the engine cannot bound the size of this volume: " + engineMessage(err),
			Hint:    "leave size out, or keep the engine's data on xfs with project quotas", Err: err}
	case containsAny(err.Error(), "invalid option", "invalid mount option"):
		return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.options",
			Message: engineMessage(err), Hint: "see the options of the volume driver", Err: err}
	default:
		return engineFault(ctx, d.Resource, "create the volume", err)
	}
}

// volume returns the volume of that name, or nil.
func (p *Provider) volume(ctx context.Context, resource, name string) (*volume.Volume, error) {
	found, err := read(ctx, func(ctx context.Context) (client.VolumeInspectResult, error) {
		return p.engine.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	})
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, engineFault(ctx, resource, "inspect volume "+name, err)
	}
	return &found.Volume, nil
}

// removeVolume removes a volume that is the target's.
func (p *Provider) removeVolume(ctx context.Context, t plan.Target, name string, say activities.Progress) error {
	deadline := time.Now().Add(releasePatience)
	for {
		_, err := settle(ctx, func(ctx context.Context) (client.VolumeRemoveResult, error) {
			return p.engine.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		})
		if err == nil {
			p.logger.Info("removed volume", "volume", name)
			return nil
		}
		if errdefs.IsNotFound(err) {
			return nil
		}
		if !errdefs.IsConflict(err) {
			return engineFault(ctx, t.Resource, "remove volume "+name, err)
		}
		users, listErr := p.volumeUsers(ctx, t, name)
		if listErr != nil {
			return listErr
		}
		if len(users) > 0 {
			return &activities.Fault{Kind: activities.Conflict, Resource: t.Resource,
				Message: fmt.Sprintf("volume %q is in use by %s", name, strings.Join(users, ", ")),
				Hint:    "remove these containers"}
		}
		if time.Now().After(deadline) {
			return engineFault(ctx, t.Resource, "remove volume "+name, err)
		}
		say("waiting until volume " + name + " is free")
		if err := pause(ctx, releaseInterval, t.Resource); err != nil {
			return err
		}
	}
}

// volumeUsers names the containers that mount the volume, running or not, apart
// from those that are being removed.
func (p *Provider) volumeUsers(ctx context.Context, t plan.Target, name string) ([]string, error) {
	list, err := read(ctx, func(ctx context.Context) (client.ContainerListResult, error) {
		return p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("volume", name)})
	})
	if err != nil {
		return nil, engineFault(ctx, t.Resource, "list the containers of volume "+name, err)
	}
	var users []string
	for _, c := range list.Items {
		if c.State != container.StateRemoving {
			users = append(users, listed{c}.name())
		}
	}
	return users, nil
}
