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

// Logs are the last lines that a container has written, oldest first; of the run before
// this one where previous is set. An empty container is the only one of the pod.
func (c *Client) Logs(ctx context.Context, namespace, pod, container string, lines int64, previous bool) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := c.core.Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, TailLines: &lines, Previous: previous}).Stream(ctx)
	if err != nil {
		return nil, c.fault(ctx, "read the logs of pod "+pod, err)
	}
	defer func() { _ = stream.Close() }()
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(stream, most))
	if err != nil {
		return nil, c.fault(ctx, "read the logs of pod "+pod, err)
	}
	if len(text) == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}
