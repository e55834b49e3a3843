package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// followPoll is how often a container whose logs are followed is looked at.
const followPoll = 200 * time.Millisecond

// kubelet answers for all fake nodes what KWOK does not: the logs of their containers, in place of the kubelet's own server
// (GET /containerLogs/<namespace>/<pod>/<container>). What a container said follows from its status.
type kubelet struct {
	api      *client
	listener net.Listener
	server   *http.Server
}

func startKubelet(c *Cluster) (*kubelet, error) {
	certificate, err := tls.LoadX509KeyPair(c.path("server.crt"), c.path("server.key"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, err
	}
	k := &kubelet{api: c.api, listener: listener}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.logs)
	k.server = &http.Server{
		Handler:           mux,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: requestTimeout,
		// The server drops connections when it is killed; nobody needs to read of it.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = k.server.ServeTLS(listener, "", "") }()
	return k, nil
}

func (k *kubelet) port() int { return k.listener.Addr().(*net.TCPAddr).Port }

// close ends the server. Nil is none.
func (k *kubelet) close() {
	if k != nil {
		_ = k.server.Close()
	}
}

// logs answers like a kubelet, with one time for all lines: when the container started.
func (k *kubelet) logs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	status, err := k.containerStatus(r.Context(), r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	instance := status.State
	if query.Get("previous") == "true" || instance.Waiting != nil && status.LastState.Terminated != nil {
		instance = status.LastState
	}
	lines, started, err := instance.output(r.PathValue("pod"))
	if err != nil {
		http.Error(w, fmt.Sprintf("container %q in pod %q %s", r.PathValue("container"), r.PathValue("pod"), err), http.StatusBadRequest)
		return
	}
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		lines = lines[max(0, len(lines)-tail):]
	}
	var text strings.Builder
	for _, line := range lines {
		if query.Get("timestamps") == "true" {
			text.WriteString(started.Format(time.RFC3339Nano) + " ")
		}
		text.WriteString(line + "\n")
	}
	content := text.String()
	if limit, err := strconv.Atoi(query.Get("limitBytes")); err == nil {
		content = content[:min(limit, len(content))]
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, content)
	if query.Get("follow") == "true" && instance.Running != nil {
		_ = http.NewResponseController(w).Flush()
		k.awaitEnd(r)
	}
}

// awaitEnd returns when the container of a request for logs does not run any more, or nobody reads them.
func (k *kubelet) awaitEnd(r *http.Request) {
	ticker := time.NewTicker(followPoll)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
		status, err := k.containerStatus(r.Context(), r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
		if err != nil || status.State.Running == nil {
			return
		}
	}
}

type (
	containerStatus struct {
		Name      string         `json:"name"`
		State     containerState `json:"state"`
		LastState containerState `json:"lastState"`
	}
	containerState struct {
		Waiting *struct {
			Message string `json:"message"`
		} `json:"waiting"`
		Running *struct {
			StartedAt time.Time `json:"startedAt"`
		} `json:"running"`
		Terminated *struct {
			ExitCode  int       `json:"exitCode"`
			Reason    string    `json:"reason"`
			StartedAt time.Time `json:"startedAt"`
		} `json:"terminated"`
	}
)

func (k *kubelet) containerStatus(ctx context.Context, namespace, pod, container string) (containerStatus, error) {
	var object struct {
		Status struct {
			Containers     []containerStatus `json:"containerStatuses"`
			InitContainers []containerStatus `json:"initContainerStatuses"`
		} `json:"status"`
	}
	if err := k.api.get(ctx, fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", namespace, pod), &object); err != nil {
		return containerStatus{}, err
	}
	for _, status := range append(object.Status.Containers, object.Status.InitContainers...) {
		if status.Name == container {
			return status, nil
		}
	}
	return containerStatus{}, fmt.Errorf("container %q of pod %q has no status", container, pod)
}

// output is what a container wrote in this state, and when. Nothing was written before a start, which is an error in the words of
// the kubelet.
func (s containerState) output(pod string) (lines []string, started time.Time, err error) {
	first := pod + ": starting"
	switch {
	case s.Running != nil:
		return []string{first, pod + ": serving"}, s.Running.StartedAt, nil
	case s.Terminated != nil && s.Terminated.ExitCode == 0:
		return []string{first, pod + ": done"}, s.Terminated.StartedAt, nil
	case s.Terminated != nil:
		return []string{first, pod + ": " + lastWords}, s.Terminated.StartedAt, nil
	case s.Waiting != nil:
		return nil, time.Time{}, fmt.Errorf("is waiting to start: %s", s.Waiting.Message)
	}
	return nil, time.Time{}, errors.New("has not started")
}
