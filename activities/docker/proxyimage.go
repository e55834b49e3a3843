package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/moby/moby/client"

	"windlass/activities"
)

const (
	// proxyRepository holds the images of the proxy; a tag is the hash of its binary.
	proxyRepository = "windlass.local/proxy"
	// proxyProgram is the proxy in its image.
	proxyProgram = "/windlass-proxy"
	// proxyState is where the proxy keeps its last good configuration. The image has
	// the directory, so that the proxy's user may write there.
	proxyState = "/state"
	// proxyUser has no rights on the host. Engines let any user listen on low ports.
	proxyUser = 65532
)

// proxyVersion is the version of the binary that LoadBalancers run. It is read anew
// when the file has changed.
func (p *Provider) proxyVersion() (string, error) {
	p.proxyMutex.Lock()
	defer p.proxyMutex.Unlock()
	file, err := os.Stat(p.proxyBinary)
	if err != nil {
		return "", err
	}
	if p.proxyFile != nil && os.SameFile(p.proxyFile, file) && p.proxyFile.ModTime().Equal(file.ModTime()) && p.proxyFile.Size() == file.Size() {
		return p.proxyHash, nil
	}
	binary, err := os.ReadFile(p.proxyBinary)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(binary)
	p.proxyFile, p.proxyHash = file, hex.EncodeToString(hash[:6])
	return p.proxyHash, nil
}

// proxyImage makes the image of the proxy from its binary, where the engine has it
// not, and returns its reference.
func (p *Provider) proxyImage(ctx context.Context, resource string, say activities.Progress) (reference, version string, err error) {
	version, err = p.proxyVersion()
	var binary []byte
	if err == nil {
		binary, err = os.ReadFile(p.proxyBinary)
	}
	if err != nil {
		return "", "", &activities.Fault{Kind: activities.Invalid, Resource: resource,
			Message: "this worker has no proxy to run: " + err.Error(),
			Hint:    "put windlass-proxy beside the worker's binary, or say where it is with --proxy-binary", Err: err}
	}
	reference = proxyRepository + ":" + version
	present, err := p.present(ctx, activities.Image{Reference: reference})
	if err != nil || present {
		return reference, version, err
	}
	say("making the image " + reference)
	archive, err := proxyArchive(binary)
	if err != nil {
		return "", "", fmt.Errorf("%s: image of the proxy: %w", resource, err)
	}
	_, err = settle(ctx, func(ctx context.Context) (struct{}, error) {
		report, err := p.engine.ImageImport(ctx, client.ImageImportSource{Source: archive, SourceName: "-"}, reference, client.ImageImportOptions{
			Changes: []string{fmt.Sprintf("ENTRYPOINT [%q]", proxyProgram), fmt.Sprintf("USER %d:%d", proxyUser, proxyUser)},
		})
		if err != nil {
			return struct{}{}, err
		}
		defer report.Close()
		return struct{}{}, readTransfer(report, newLayers("importing "+reference, say))
	})
	if err != nil {
		return "", "", engineFault(ctx, resource, "make the image of the proxy", err)
	}
	p.logger.Info("made image", "image", reference)
	return reference, version, nil
}

// proxyArchive is the file system of the image.
func proxyArchive(binary []byte) (*bytes.Buffer, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	entries := []struct {
		header  tar.Header
		content []byte
	}{
		{tar.Header{Typeflag: tar.TypeDir, Name: proxyState[1:] + "/", Mode: 0o700, Uid: proxyUser, Gid: proxyUser}, nil},
		{tar.Header{Typeflag: tar.TypeReg, Name: proxyProgram[1:], Mode: 0o755, Size: int64(len(binary))}, binary},
	}
	for _, e := range entries {
		if err := writer.WriteHeader(&e.header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(e.content); err != nil {
			return nil, err
		}
	}
	return &archive, writer.Close()
}
