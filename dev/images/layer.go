package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// executable is a file of an image that anybody may read and run and only root may change.
type executable struct {
	path    string
	content []byte
}

// layerOf makes a layer of files. Times are left at zero, so that the same files always make the same layer.
func layerOf(files ...executable) (v1.Layer, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, file := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: file.path, Mode: 0o755, Size: int64(len(file.content))}
		if err := writer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("layer entry %s: %w", file.path, err)
		}
		if _, err := writer.Write(file.content); err != nil {
			return nil, fmt.Errorf("layer entry %s: %w", file.path, err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	// The layer goes to an engine on the same machine, which unpacks it at once: speed counts, size does not.
	return tarball.LayerFromOpener(opener, tarball.WithCompressionLevel(gzip.BestSpeed), tarball.WithCompressedCaching)
}

// imageOf makes an image of layers. The input hash is added to its labels.
func imageOf(architecture, hash string, config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS = "linux"
	file.Architecture = architecture
	file.Config = config
	file.Config.Labels = map[string]string{InputsLabel: hash}
	return mutate.ConfigFile(image, file)
}
