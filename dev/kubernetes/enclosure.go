package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"windlass/dev/engine/host"
)

// enclosureVariable carries the directory of an enclosure to the processes in it.
const enclosureVariable = "WINDLASS_KUBERNETES_ENCLOSURE"

// controlGroups is where the kernel shows them, by convention.
const controlGroups = "/sys/fs/cgroup"

// Enclosure is where a real node runs: namespaces of its own for network, mounts and processes, in which this program runs once
// more. With the last process the kernel takes away all that was made in them: containers, interfaces, rules, mounts. What
// remains is a directory and control groups, which are removed after it.
type Enclosure struct {
	dir     string
	nursery *nursery
	janitor *janitor
}

// enclosed are the programs that an enclosure and a machine in it need, and the Debian packages that have them.
var enclosed = map[string]string{
	"unshare": "util-linux", "mount": "mount", "ip": "iproute2", "iptables": "iptables", "runc": "runc",
}

// inNamespaces runs a command in namespaces of its own and, as unshare does, all mounts private.
func inNamespaces(ctx context.Context, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "unshare", append([]string{
		"--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc", "--",
	}, arguments...)...)
}

// trial does what a machine begins with, each for a reason that a kernel, or the container that this runs in, may have to refuse it.
const trial = `
	mount -t tmpfs tmpfs /run
	ip link add trial0 type veth peer name trial1
	iptables -t nat -A OUTPUT -d 192.0.2.1 -p tcp -m comment --comment trial -m statistic --mode random --probability 0.5 -j DNAT --to-destination 192.0.2.2
	for each in $(find ` + controlGroups + ` -mindepth 0 -maxdepth 1 -type d); do
		if [ -e "$each/cgroup.procs" ]; then mkdir "$each/$0" && rmdir "$each/$0"; fi
	done
`

// Obstacle says why this machine cannot have an enclosure, whatever is installed: the user is not root, or the kernel refuses.
// Nil is no obstacle. Packages that are missing are installed.
func Obstacle(ctx context.Context) (obstacle, err error) {
	if os.Geteuid() != 0 {
		return errors.New("a real node needs root: its containers, mounts and network are made with the kernel's help"), nil
	}
	var missing []string
	for program, name := range enclosed {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		if err := host.InstallPackages(ctx, missing...); err != nil {
			return nil, err
		}
	}
	output, err := inNamespaces(ctx, "sh", "-ec", trial, fmt.Sprintf("windlass-trial-%d", os.Getpid())).CombinedOutput()
	if err == nil {
		return nil, nil
	}
	if refused := new(exec.ExitError); errors.As(err, &refused) {
		return fmt.Errorf("the kernel does not let us make what a real node needs: %w: %s", err, host.LastLines(string(output), 3)), nil
	}
	return nil, err
}

// NewEnclosure makes the directory of an enclosure, and the programs of a cluster with a Machine where they are not there yet:
// inside there is no network to get them by. Progress is as for Build. The caller closes the enclosure.
func NewEnclosure(ctx context.Context, progress io.Writer) (*Enclosure, error) {
	if _, err := Build(ctx, progress); err != nil {
		return nil, err
	}
	if _, err := buildMachine(ctx, progress); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "windlass-kubernetes-")
	if err != nil {
		return nil, err
	}
	janitor, err := hireJanitor(dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &Enclosure{dir: dir, nursery: newNursery(), janitor: janitor}, nil
}

// Dir is a directory that is there inside and outside. It goes with the enclosure.
func (e *Enclosure) Dir() string { return e.dir }

// Run runs this program inside, with other arguments, and returns when it has ended, and all that it started with it. When ctx
// ends it is killed. It ends with this process, too, however that ends.
func (e *Enclosure) Run(ctx context.Context, output io.Writer, arguments ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := inNamespaces(ctx, append([]string{self}, arguments...)...)
	command.Env = append(os.Environ(), enclosureVariable+"="+e.dir)
	command.Stdout, command.Stderr = output, output
	command.WaitDelay = time.Second
	if err := e.nursery.start(command); err != nil {
		return fmt.Errorf("start an enclosure: %w", err)
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("in the enclosure: %w", err)
	}
	return nil
}

// Close removes the directory and the control groups, and says what would not go.
func (e *Enclosure) Close() error {
	e.nursery.close()
	e.janitor.dismiss()
	left := []string{}
	if exists(e.dir) {
		left = append(left, e.dir)
	}
	groups, err := controlGroupPaths(filepath.Base(e.dir))
	if err != nil {
		return err
	}
	for _, group := range groups {
		if exists(group) {
			left = append(left, group)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("an enclosure left behind %q: remove it by hand", left)
	}
	return nil
}

// Enclosed says whether this process runs inside an enclosure, and returns its directory.
func Enclosed() (dir string, inside bool) { return os.LookupEnv(enclosureVariable) }

// controlGroup is the name of the control group of the enclosure that this process is in.
func controlGroup() string { return filepath.Base(os.Getenv(enclosureVariable)) }

// controlGroupPaths are the directories of a control group: one per hierarchy, or the one where there is one hierarchy only.
func controlGroupPaths(name string) ([]string, error) {
	if exists(filepath.Join(controlGroups, "cgroup.procs")) {
		return []string{filepath.Join(controlGroups, name)}, nil
	}
	hierarchies, err := os.ReadDir(controlGroups)
	if err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	var paths []string
	for _, hierarchy := range hierarchies {
		// Links are other names of a hierarchy.
		if hierarchy.IsDir() && exists(filepath.Join(controlGroups, hierarchy.Name(), "cgroup.procs")) {
			paths = append(paths, filepath.Join(controlGroups, hierarchy.Name(), name))
		}
	}
	return paths, nil
}

// furnish makes what a machine needs to find inside, which is gone with the namespaces.
func furnish() error {
	if _, inside := Enclosed(); !inside {
		return errors.New("a real node runs in an Enclosure only")
	}
	// Where the kubelet and its helpers keep what no setting moves elsewhere.
	for _, place := range []string{"/run", "/var/lib", "/var/log"} {
		if err := syscall.Mount("tmpfs", place, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount on %s: %w", place, err)
		}
	}
	paths, err := controlGroupPaths(controlGroup())
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("control group: %w", err)
		}
	}
	for _, arguments := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "machine0", "type", "veth", "peer", "name", "machine1"},
		{"link", "set", "machine1", "up"},
		{"link", "set", "machine0", "up"},
		{"address", "add", machineAddress + "/24", "dev", "machine0"},
		// A packet to a ClusterIP needs a way to go before kube-proxy's rules give it another.
		{"route", "add", "default", "dev", "machine0"},
	} {
		if output, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %q: %w: %s", arguments, err, host.LastLines(string(output), 3))
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}
