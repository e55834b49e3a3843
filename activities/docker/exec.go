package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// maxExecOutput is how much is read of what a command in a container writes.
const maxExecOutput = 8 << 20

// run runs a command in a container, gives it the input, and returns its exit code
// and what it wrote. The command goes on when ctx ends.
func (p *Provider) run(ctx context.Context, container string, command []string, input []byte) (code int, output, trouble string, err error) {
	made, err := p.engine.ExecCreate(ctx, container, client.ExecCreateOptions{
		Cmd: command, AttachStdin: input != nil, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return 0, "", "", err
	}
	attached, err := p.engine.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, "", "", err
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	if input != nil {
		if _, err := attached.Conn.Write(input); err != nil {
			return 0, "", "", fmt.Errorf("give the command its input: %w", err)
		}
		if err := attached.CloseWrite(); err != nil {
			return 0, "", "", fmt.Errorf("give the command its input: %w", err)
		}
	}
	var out, complaints bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &complaints, io.LimitReader(attached.Reader, maxExecOutput)); err != nil {
		return 0, "", "", fmt.Errorf("read what the command wrote: %w", err)
	}
	ended, err := p.engine.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err != nil {
		return 0, "", "", err
	}
	return ended.ExitCode, out.String(), strings.TrimSpace(complaints.String()), nil
}
