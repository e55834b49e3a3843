package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1"

	"windlass/dev/engine/host"
)

// nonRoot is the user of the images from scratch, by number because they have no /etc/passwd.
const nonRoot = "65532:65532"

// program is the recipe of an image from scratch that holds one static binary of this module and nothing else.
type program struct {
	// packagePath is the import path of the main package.
	packagePath string
	// name is the file name of the binary in the root directory of the image.
	name string
	// arguments are those of the binary where a container has none.
	arguments []string
	// version becomes the variable main.version. Empty leaves it as the source has it.
	version string
}

func (p program) ensure(ctx context.Context, builder *Builder, reference string) error {
	architecture, err := builder.architecture(ctx)
	if err != nil {
		return err
	}
	binary, err := p.compile(ctx, filepath.Join(builder.cache, fileName(reference)+"-"+architecture), architecture)
	if err != nil {
		return err
	}
	config := v1.Config{
		Entrypoint:   []string{"/" + p.name},
		Cmd:          p.arguments,
		User:         nonRoot,
		WorkingDir:   "/",
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
	}
	hash := hashOf(string(binary), fmt.Sprint(config))
	if present, _, err := builder.inputs(ctx, reference); err != nil || present == hash {
		return err
	}
	layer, err := layerOf(executable{path: p.name, content: binary})
	if err != nil {
		return err
	}
	image, err := imageOf(architecture, hash, config, layer)
	if err != nil {
		return err
	}
	if err := builder.load(ctx, reference, image); err != nil {
		return err
	}
	builder.say(reference, "built (%d MiB)", len(binary)>>20)
	return nil
}

// compile builds the binary at the given path, which is kept: go build then links again only after a change.
func (p program) compile(ctx context.Context, path, architecture string) ([]byte, error) {
	linker := "-s -w"
	if p.version != "" {
		linker += " -X main.version=" + p.version
	}
	// Without the version control stamp, the binary and so the image stay the same from commit to commit.
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", linker, "-o", path, p.packagePath)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build %s: %w: %s", p.packagePath, err, host.LastLines(string(output), 10))
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the binary: %w", err)
	}
	return binary, nil
}

// hashOf returns one hash of several texts. Each is hashed by itself first, so that moving a border changes the result.
func hashOf(texts ...string) string {
	all := sha256.New()
	for _, text := range texts {
		part := sha256.Sum256([]byte(text))
		all.Write(part[:])
	}
	return hex.EncodeToString(all.Sum(nil))
}
