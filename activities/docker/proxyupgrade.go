package docker

import (
	"context"
	"fmt"
	"os"
	"path"

	"github.com/moby/moby/api/types/container"

	"windlass/activities"
)

// newProxy is the name of the binary that a proxy is to go on with, in its state
// directory. keptProxy is that of the one that it is started with, as it keeps it itself.
const (
	newProxy  = "windlass-proxy.new"
	keptProxy = "windlass-proxy"
)

// upgrade lets the proxies go on as another version of themselves, without losing a
// connection. One that does not run is started with it.
func (b *balancer) upgrade(ctx context.Context, image, version string, say activities.Progress) error {
	all, err := b.instances(ctx)
	if err != nil {
		return err
	}
	for _, x := range all {
		// One that is paused can do nothing; it stays what it is until the next apply.
		if x.version() == version || x.version() == "" && x.image == image || x.state == container.StatePaused {
			continue
		}
		say("upgrading " + x.name)
		binary, err := os.ReadFile(b.provider.proxyBinary)
		if err != nil {
			return fmt.Errorf("%s: the proxy's binary: %w", b.target.Resource, err)
		}
		if !x.running() {
			if err := x.placeAs(ctx, map[string][]byte{keptProxy: binary}, 0o700); err != nil {
				return err
			}
			continue
		}
		if err := x.placeAs(ctx, map[string][]byte{newProxy: binary}, 0o700); err != nil {
			return err
		}
		code, trouble, err := x.command(ctx, writeTimeout, nil, "upgrade", path.Join(proxyState, newProxy))
		switch {
		case err != nil:
			return engineFault(ctx, b.target.Resource, "upgrade "+x.name, err)
		case code != 0:
			return &activities.Fault{Kind: activities.Unavailable, Resource: b.target.Resource,
				Message: fmt.Sprintf("%s does not go on as version %s: %s", x.name, version, trouble), Hint: "see the log of the container; the former version goes on"}
		}
		b.provider.logger.Info("upgraded proxy", "container", x.name, "version", version)
	}
	return nil
}

// version is the one that the configuration says was given to the proxy, empty where
// it says nothing.
func (x instance) version() string {
	if x.current == nil {
		return ""
	}
	return x.current.Labels[activities.LabelProxy]
}
