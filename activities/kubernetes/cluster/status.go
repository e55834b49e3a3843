package cluster

import (
	"context"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Status says whether an object is as it is declared, by the rules of kstatus, what it
// waits for, and whether it has failed for good.
func Status(o *unstructured.Unstructured) (ready bool, message string, failed bool) {
	result, err := status.Compute(o)
	if err != nil {
		return false, err.Error(), false
	}
	return result.Status == status.CurrentStatus, result.Message, result.Status == status.FailedStatus
}

// Logs are the last lines that a container has written, oldest first, and no more of them
// than a mebibyte; of the run before this one where previous is set. An empty container is
// the only one of the pod.
func (c *Client) Logs(ctx context.Context, namespace, pod, container string, lines int64, previous bool) ([]string, error) {
	doing := "read the logs of pod " + pod
	bounded, cancel, err := c.begin(ctx, doing)
	if err != nil {
		return nil, err
	}
	defer cancel()
	stream, err := c.core.Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, TailLines: &lines, Previous: previous}).Stream(bounded)
	if err != nil {
		return nil, c.fault(ctx, doing, err)
	}
	defer func() { _ = stream.Close() }()
	var text tail
	if _, err := io.Copy(&text, stream); err != nil {
		return nil, c.fault(ctx, doing, err)
	}
	if len(text) == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// mostLogs bounds what is kept of logs, in bytes.
const mostLogs = 1 << 20

// tail keeps the last mostLogs bytes of what is written to it.
type tail []byte

// Write implements io.Writer.
func (t *tail) Write(text []byte) (int, error) {
	if *t = append(*t, text...); len(*t) > mostLogs {
		*t = append((*t)[:0], (*t)[len(*t)-mostLogs:]...)
	}
	return len(text), nil
}
