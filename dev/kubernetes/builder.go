package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"windlass/dev/engine/host"
)

// Version is the version of Kubernetes that the programs have.
const Version = "1.37.2"

// program is one of the programs that make up a cluster.
type program struct {
	// name is that of the file in the directory of the programs.
	name string
	// packagePath is the import path of the main package in the tools module.
	packagePath string
}

// toolset is a set of programs that are built together.
type toolset struct {
	// name is that of the toolset in the cache, title the one for people.
	name, title string
	// dir is the tools module, seen from the root of this one.
	dir      string
	programs []program
}

const kubernetesDir = "dev/kubernetes/tools"

var (
	controlPlane = toolset{"kubernetes", "Kubernetes " + Version, kubernetesDir, []program{
		{"etcd", "go.etcd.io/etcd/server/v3"},
		{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
		{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"},
		{"kwok", "sigs.k8s.io/kwok/cmd/kwok"},
	}}
	nodeTools = toolset{"kubernetes-node", "the node of Kubernetes " + Version, kubernetesDir, []program{
		{"kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"},
		{"kubelet", "k8s.io/kubernetes/cmd/kubelet"},
	}}
	// containerTools are a module of their own, so that what they need does not move what Kubernetes needs.
	containerTools = toolset{"kubernetes-containers", "containerd", "dev/kubernetes/node/tools", []program{
		{"containerd", "github.com/containerd/containerd/v2/cmd/containerd"},
		{"containerd-shim-runc-v2", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"},
		{"ctr", "github.com/containerd/containerd/v2/cmd/ctr"},
		{"host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local"},
		{"ptp", "github.com/containernetworking/plugins/plugins/main/ptp"},
	}}
)

// buildFlags are part of the cache's key. Kubernetes takes its version from the linker; without it the server calls itself v0.0.0.
var buildFlags = []string{
	"-mod=readonly", "-trimpath", "-buildvcs=false",
	"-ldflags", "-s -w" +
		" -X k8s.io/component-base/version.gitVersion=v" + Version +
		" -X k8s.io/component-base/version.gitMajor=1" +
		" -X k8s.io/component-base/version.gitMinor=37",
}

const (
	// reportPackages is how many compiled packages a line of progress stands for,
	reportPackages = 100
	// reportInterval how long at most until the next one.
	reportInterval = 30 * time.Second
)

// Build sees to it that the programs of a cluster exist and returns their directory, which is shared by all who need the same
// versions and must not be changed. The first time takes some minutes and says so on progress; afterwards it takes a moment and
// prints nothing. Only one process at a time builds; the others wait and then find the result. It runs the go command and so
// must be called from within the windlass module.
func Build(ctx context.Context, progress io.Writer) (dir string, err error) {
	return controlPlane.ensure(ctx, progress)
}

func (s toolset) ensure(ctx context.Context, progress io.Writer) (dir string, err error) {
	tools, err := s.module(ctx)
	if err != nil {
		return "", err
	}
	key, err := s.key(ctx, tools)
	if err != nil {
		return "", err
	}
	cache, err := host.CacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, s.name, key)
	if exists(dir) {
		return dir, nil
	}
	unlock, err := host.Lock(ctx, s.name, func() {
		fmt.Fprintf(progress, "%s is being built elsewhere, waiting for it\n", s.title)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) {
		return dir, nil
	}
	if err := s.build(ctx, tools, dir, progress); err != nil {
		return "", fmt.Errorf("build %s: %w", s.title, err)
	}
	return dir, nil
}

// build compiles into a directory beside the final one, so that what has the final name is complete.
func (s toolset) build(ctx context.Context, tools, dir string, progress io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unfinished := dir + ".unfinished"
	// A build that was killed leaves one behind; nobody else is here as long as we hold the lock.
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)

	fmt.Fprintf(progress, "building %s for the tests; the first time takes some minutes\n", s.title)
	started := time.Now()
	if err := s.compile(ctx, tools, unfinished, progress); err != nil {
		return err
	}
	for _, p := range s.programs {
		if err := os.Rename(filepath.Join(unfinished, binaryName(p.packagePath)), filepath.Join(unfinished, p.name)); err != nil {
			return err
		}
	}
	if err := os.Rename(unfinished, dir); err != nil {
		return err
	}
	fmt.Fprintf(progress, "built %s in %s\n", s.title, time.Since(started).Round(time.Second))
	return nil
}

// compile builds all programs with one go command, which compiles what they share once. It gives way to other work on the
// machine where it can.
func (s toolset) compile(ctx context.Context, tools, dir string, progress io.Writer) error {
	arguments := append([]string{"go", "build", "-v", "-o", dir}, buildFlags...)
	for _, p := range s.programs {
		arguments = append(arguments, p.packagePath)
	}
	if nice, err := exec.LookPath("nice"); err == nil {
		arguments = append([]string{nice, "-n", "10"}, arguments...)
	}
	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	command.Dir = tools
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	// After a cancellation the compilers that go started may still hold the pipe.
	command.WaitDelay = time.Second
	output, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	failure := follow(output, progress)
	if err := command.Wait(); err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", tools, err, host.LastLines(failure, 20))
	}
	return nil
}

var compiledPackage = regexp.MustCompile(`^[\w.~-]+(/[\w.~-]+)*$`)

// follow reports how many packages go build has named as compiled, and returns everything else that it said.
func follow(output io.Reader, progress io.Writer) (other string) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(output)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		_, _ = io.Copy(io.Discard, output)
	}()
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	started := time.Now()
	var rest strings.Builder
	compiled := 0
	report := func() {
		fmt.Fprintf(progress, "  %d packages compiled after %s\n", compiled, time.Since(started).Round(time.Second))
		ticker.Reset(reportInterval)
	}
	for {
		select {
		case <-ticker.C:
			report()
		case line, more := <-lines:
			switch {
			case !more:
				return rest.String()
			case compiledPackage.MatchString(line):
				if compiled++; compiled%reportPackages == 0 {
					report()
				}
			default:
				rest.WriteString(line + "\n")
			}
		}
	}
}

// module is the directory of the tools module in the checkout that the working directory is in.
func (s toolset) module(ctx context.Context) (string, error) {
	file, err := goOutput(ctx, "env", "GOMOD")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(file), s.dir)
	if !exists(filepath.Join(dir, "go.mod")) {
		return "", fmt.Errorf("build %s: the working directory is not in a checkout of windlass: run it from there", s.title)
	}
	return dir, nil
}

// key names what comes out of a build: the same key, the same programs.
func (s toolset) key(ctx context.Context, tools string) (string, error) {
	compiler, err := goOutput(ctx, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	inputs := []string{compiler, fmt.Sprint(s.programs), strings.Join(buildFlags, " ")}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(tools, name))
		if err != nil {
			return "", fmt.Errorf("build %s: %w", s.title, err)
		}
		inputs = append(inputs, string(content))
	}
	all := sha256.New()
	for _, input := range inputs {
		part := sha256.Sum256([]byte(input))
		all.Write(part[:])
	}
	return hex.EncodeToString(all.Sum(nil))[:20], nil
}

func goOutput(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(arguments, " "), err, host.LastLines(complaint.String(), 5))
	}
	return strings.TrimSpace(string(output)), nil
}

var majorVersion = regexp.MustCompile(`^v\d+$`)

// binaryName is the name that go build gives to a program: the last part of its import path that is not a major version.
func binaryName(packagePath string) string {
	parts := slices.DeleteFunc(strings.Split(packagePath, "/"), majorVersion.MatchString)
	return parts[len(parts)-1]
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
