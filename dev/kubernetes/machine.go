package kubernetes

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	"windlass/dev/engine/host"
)

const (
	// MachineName is the name of the real node.
	MachineName = "machine"
	// machineAddress is in the network that is set aside for documentation, so that it is nobody else's.
	machineAddress = "192.0.2.10"
	// machinePodRange is where its pods take their addresses from. Those of fake nodes lead nowhere.
	machinePodRange = "10.245.0.0/16"
	// machineVolumes is how many volumes of the class "standard" lie on the disk of the machine.
	machineVolumes = 3
)

// Machine says that a cluster has a real node, on which containers run: containerd, kubelet and kube-proxy, with a network in
// which pods, ClusterIPs and the names of Services can be reached. It needs an Enclosure.
type Machine struct {
	// Archives are paths of docker archives, whose images the machine has from the start. It has no registry.
	Archives []string
	// Pause is the image of the container that holds the namespaces of a pod. One of the archives must have it.
	Pause string
}

// buildMachine is like Build, for the programs of a Machine beside those of a cluster.
func buildMachine(ctx context.Context, progress io.Writer) (dirs []string, err error) {
	for _, s := range []toolset{nodeTools, containerTools} {
		dir, err := s.ensure(ctx, progress)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

//go:embed machine
var machineFiles embed.FS

// startMachine starts the real node and returns when it is ready and has its images.
func (c *Cluster) startMachine(ctx context.Context, machine Machine) error {
	if err := c.writeMachineFiles(machine); err != nil {
		return err
	}
	var err error
	if c.resolver, err = startResolver(c.api, machineAddress); err != nil {
		return err
	}
	if err := c.run("containerd", "--config", c.machinePath("containerd.toml")); err != nil {
		return err
	}
	if err := await(ctx, "containerd is", c.others, func(ctx context.Context) error { return c.ctr(ctx, "version") }); err != nil {
		return err
	}
	for _, archive := range machine.Archives {
		if err := c.ctr(ctx, "images", "import", "--local", archive); err != nil {
			return err
		}
	}
	if err := c.createVolumes(ctx); err != nil {
		return err
	}
	if err := c.run("kubelet",
		"--config="+c.machinePath("kubelet.yaml"),
		"--kubeconfig="+c.administrator,
		"--root-dir="+c.machinePath("kubelet"),
		"--hostname-override="+MachineName,
		"--node-ip="+machineAddress,
	); err != nil {
		return err
	}
	if err := c.run("kube-proxy", "--config="+c.machinePath("kube-proxy.yaml")); err != nil {
		return err
	}
	return await(ctx, "the machine is", c.others, func(ctx context.Context) error {
		var registered node
		if err := c.api.get(ctx, "/api/v1/nodes/"+MachineName, &registered); err != nil {
			return err
		}
		return c.usable(ctx)
	})
}

func (c *Cluster) machinePath(name string) string { return filepath.Join(c.dir, "machine", name) }

// writeMachineFiles fills in the embedded files. Their delimiters are square for the sake of YAML.
func (c *Cluster) writeMachineFiles(machine Machine) error {
	values := map[string]string{
		"Name": MachineName, "Address": machineAddress, "PodRange": machinePodRange, "ControlGroup": controlGroup(), "Pause": machine.Pause,
		"Run": c.dir, "Dir": c.machinePath(""), "Kubeconfig": c.administrator, "Plugins": filepath.Dir(c.program("ptp")),
	}
	for _, name := range []string{"containerd.toml", "kubelet.yaml", "kube-proxy.yaml", "network/pods.conflist"} {
		content, err := fs.ReadFile(machineFiles, "machine/"+name)
		if err != nil {
			return err
		}
		parsed, err := template.New(name).Delims("[[", "]]").Option("missingkey=error").Parse(string(content))
		if err != nil {
			return err
		}
		var filled bytes.Buffer
		if err := parsed.Execute(&filled, values); err != nil {
			return err
		}
		path := c.machinePath(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, filled.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ctr has containerd do something in the namespace of the kubelet.
func (c *Cluster) ctr(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, c.program("ctr"), append([]string{"--namespace=k8s.io"}, arguments...)...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("ctr %s: %w: %s", arguments[0], err, host.LastLines(string(output), 5))
	}
	return nil
}

// createVolumes makes volumes on the disk of the machine, which claims of the class "standard" find before KWOK makes them one
// that is nowhere.
func (c *Cluster) createVolumes(ctx context.Context) error {
	for i := 1; i <= machineVolumes; i++ {
		name := fmt.Sprintf("disk-%d", i)
		path := c.machinePath(filepath.Join("disks", name))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		err := c.api.create(ctx, "/api/v1/persistentvolumes", map[string]any{
			"metadata": metadata{Name: name},
			"spec": map[string]any{
				"capacity": map[string]string{"storage": "10Gi"}, "accessModes": []string{"ReadWriteOnce"},
				"storageClassName": "standard", "persistentVolumeReclaimPolicy": "Retain",
				"local": map[string]string{"path": path},
				"nodeAffinity": map[string]any{"required": map[string]any{"nodeSelectorTerms": []any{map[string]any{
					"matchExpressions": []any{map[string]any{"key": "kubernetes.io/hostname", "operator": "In", "values": []string{MachineName}}},
				}}}},
			},
		})
		if err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return nil
}
