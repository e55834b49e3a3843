package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/schemas"
	"windlass/schemas/traffic"
)

const (
	// proxySocket is where the proxy is administered, in its container.
	proxySocket = proxyState + "/admin.sock"
	// proxyConfiguration is the last good configuration.
	proxyConfiguration = proxyState + "/configuration.json"
	// The exit codes of the proxy's commands that mean something here.
	proxyIsNewer    = 3
	proxyConflicts  = 4
	proxyRefuses    = 5
	proxyNotDrained = 7
	// configurationReads is how often a configuration that seems to be missing is read.
	configurationReads = 3
	// maxConfiguration bounds what is read of a configuration, in bytes.
	maxConfiguration = 16 << 20
)

// proxy is the windlass-proxy in one container of a LoadBalancer.
type proxy struct {
	provider *Provider
	resource string
	id, name string
}

// proxyArguments are what the proxy is run with. It is done a little before the
// engine's patience is over.
func proxyArguments(grace time.Duration, accessLog bool) []string {
	arguments := []string{
		"run", "--state", proxyState, "--socket", proxySocket, "--metrics", ":" + strconv.Itoa(schemas.ProxyMetricsPort),
		"--drain-timeout", (grace * 8 / 10).String(),
	}
	if accessLog {
		arguments = append(arguments, "--access-log")
	}
	return arguments
}

// configuration is the last good configuration, also of a proxy that does not run;
// nil when it has none. Every proxy is given one before it starts: where there seems to
// be none, it may be about to be written, and is looked for again.
func (x proxy) configuration(ctx context.Context) (*traffic.Configuration, error) {
	for range configurationReads - 1 {
		c, err := x.readConfiguration(ctx)
		if c != nil || err != nil {
			return c, err
		}
		if err := pause(ctx, firstLook, x.resource+": reading the configuration of "+x.name); err != nil {
			return nil, err
		}
	}
	return x.readConfiguration(ctx)
}

func (x proxy) readConfiguration(ctx context.Context) (*traffic.Configuration, error) {
	text, err := read(ctx, func(ctx context.Context) ([]byte, error) {
		copied, err := x.provider.engine.CopyFromContainer(ctx, x.id, client.CopyFromContainerOptions{SourcePath: proxyConfiguration})
		if err != nil {
			return nil, err
		}
		defer copied.Content.Close()
		archive := tar.NewReader(copied.Content)
		if _, err := archive.Next(); err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(archive, maxConfiguration))
	})
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, engineFault(ctx, x.resource, "read the configuration of "+x.name, err)
	}
	var c traffic.Configuration
	if json.Unmarshal(text, &c) != nil {
		return nil, nil // changed by hand: as good as none
	}
	x.provider.given.remember(x.id, text)
	return &c, nil
}

// place puts files into the state directory of the proxy, which need not run yet.
func (x proxy) place(ctx context.Context, files map[string][]byte) error {
	return x.placeAs(ctx, files, 0o600)
}

// placeAs is place with the rights that the proxy's user has to the files.
func (x proxy) placeAs(ctx context.Context, files map[string][]byte, mode int64) error {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for name, content := range files {
		header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Uid: proxyUser, Gid: proxyUser, Size: int64(len(content)), ModTime: time.Now()}
		if err := writer.WriteHeader(&header); err != nil {
			return fmt.Errorf("%s: files of the proxy: %w", x.resource, err)
		}
		if _, err := writer.Write(content); err != nil {
			return fmt.Errorf("%s: files of the proxy: %w", x.resource, err)
		}
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("%s: files of the proxy: %w", x.resource, err)
	}
	_, err := settle(ctx, func(ctx context.Context) (client.CopyToContainerResult, error) {
		return x.provider.engine.CopyToContainer(ctx, x.id, client.CopyToContainerOptions{DestinationPath: proxyState, Content: &archive})
	})
	if err != nil {
		return engineFault(ctx, x.resource, "give "+x.name+" its files", err)
	}
	return nil
}

// apply makes the proxy, which must run, work by the configuration. Superseded says
// that somebody else gave it a newer one, or another of the same version.
func (x proxy) apply(ctx context.Context, c traffic.Configuration) (superseded bool, err error) {
	text, err := json.Marshal(c)
	if err != nil {
		return false, fmt.Errorf("%s: configuration of the proxy: %w", x.resource, err)
	}
	code, trouble, err := x.command(ctx, writeTimeout, text, "apply", "-")
	if err == nil && code == 0 {
		x.provider.given.remember(x.id, text)
	} else {
		x.provider.given.forget(x.id)
	}
	switch {
	case ended(err):
		return false, &activities.Fault{Kind: activities.Unavailable, Resource: x.resource,
			Message: fmt.Sprintf("%s ended while it was configured", x.name), Hint: "see the log of the container", Err: err}
	case err != nil:
		return false, engineFault(ctx, x.resource, "configure "+x.name, err)
	case code == proxyIsNewer, code == proxyConflicts:
		return true, nil
	case code == proxyRefuses:
		return false, &activities.Fault{Kind: activities.Invalid, Resource: x.resource, Field: "properties",
			Message: fmt.Sprintf("%s refuses its configuration: %s", x.name, trouble)}
	case code != 0:
		return false, &activities.Fault{Kind: activities.Unavailable, Resource: x.resource,
			Message: fmt.Sprintf("%s does not take its configuration: %s", x.name, trouble), Hint: "see the log of the container"}
	}
	return false, nil
}

// drained waits until an endpoint that is taken out has nothing in flight. One that
// still has at the end of the patience is cut off: that is no error.
func (x proxy) drained(ctx context.Context, service, endpoint string, patience time.Duration) error {
	code, trouble, err := x.command(ctx, patience+readTimeout, nil, "drained", service, endpoint, "--timeout", patience.String())
	switch {
	case ended(err):
		return nil // and with it all that it had in flight
	case err != nil:
		return engineFault(ctx, x.resource, "wait until "+endpoint+" has no request in flight", err)
	case code == proxyNotDrained:
		x.provider.logger.Warn("cut off requests at the drain timeout", "endpoint", endpoint, "proxy", x.name, "timeout", patience)
	case code != 0:
		return &activities.Fault{Kind: activities.Unavailable, Resource: x.resource,
			Message: fmt.Sprintf("%s does not say whether %s has requests in flight: %s", x.name, endpoint, trouble), Hint: "see the log of the container"}
	}
	return nil
}

// ended says that a command could not be run since the container does not run.
func ended(err error) bool { return errdefs.IsConflict(err) || errdefs.IsNotFound(err) }

// command runs a command of the proxy in its container.
func (x proxy) command(ctx context.Context, bound time.Duration, input []byte, arguments ...string) (code int, trouble string, err error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	command := append([]string{proxyProgram}, arguments...)
	command = append(command, "--socket", proxySocket)
	code, _, trouble, err = x.provider.run(ctx, x.id, command, input)
	return code, oneLine(trouble), err
}

// tlsFile is the path of a file for a listener, in the container.
func tlsFile(port int, kind string) string {
	return path.Join(proxyState, tlsFileName(port, kind))
}

func tlsFileName(port int, kind string) string { return fmt.Sprintf("listener-%d.%s", port, kind) }
