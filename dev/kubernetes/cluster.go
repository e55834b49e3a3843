package kubernetes

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	loopback = "127.0.0.1"
	// serviceRange holds the ClusterIPs. Only a Machine routes them.
	serviceRange = "10.96.0.0/16"
	// firstServiceIP is the ClusterIP of the server itself.
	firstServiceIP = "10.96.0.1"
	// podRange is where KWOK takes the addresses of pods from.
	podRange = "10.244.0.0/16"
	// readyTimeout bounds the start of one part of a cluster on a busy machine.
	readyTimeout = 2 * time.Minute
	readyPoll    = 20 * time.Millisecond
	defaultNodes = 3
)

// Options say how a cluster is to be. The zero value is a good one.
type Options struct {
	// Dir is where the cluster keeps its data, configuration and logs (<program>.log). It must be empty, and it stays after the
	// end. Empty is a temporary directory that is removed when the cluster stops or this process ends.
	Dir string
	// Nodes is the number of fake nodes, named node-1 and so on; 0 is 3 of them and a negative number none.
	Nodes int
	// Machine, where set, is a real node beside the fake ones.
	Machine *Machine
	// Users are known to the server besides Administrator, Windlass and Stranger.
	Users []User
	// ServerFlags are added to those of kube-apiserver, such as "--max-requests-inflight=5".
	ServerFlags []string
	// CRDs are CustomResourceDefinitions in YAML, one each, that are there from the start.
	CRDs []string
	// GatewayAPI adds the kinds of the Gateway API's standard channel that a way in for HTTP needs: GatewayClass, Gateway and
	// HTTPRoute. No controller looks at their objects.
	GatewayAPI bool
	// Stages are stages for KWOK in YAML that are added to those that the package comment describes, such as for the status of
	// a kind of CRDs. A kind that is defined later can have none.
	Stages []string
	// Log gets a line per step of a build, and a report when a program of the cluster ends unasked. Nil is standard error.
	Log io.Writer
}

// Cluster is a running Kubernetes control plane with fake nodes. It is safe for concurrent use. Whoever started it calls Stop.
type Cluster struct {
	options Options
	// programs are the directories of the programs.
	programs  []string
	dir       string
	nursery   *nursery
	janitor   *janitor
	authority *authority
	tokens    map[string]string
	// administrator is the path of the Administrator's kubeconfig file.
	administrator string
	api           *client
	kubelet       *kubelet
	resolver      *resolver
	ports         struct{ server, etcd, peer *port }

	// mu guards the processes.
	mu sync.Mutex
	// server is nil while it is stopped.
	server *process
	// others are the rest of the processes, in the order of their start.
	others  []*process
	stopped atomic.Bool
}

// Start builds the programs where that was not done yet (see Build), starts a cluster and returns when it can be used: its
// nodes are ready and a pod can be made. That takes a few seconds. Everything listens on 127.0.0.1 only, on ports that stay
// reserved until the end. All processes end with this one, however it ends.
func Start(ctx context.Context, options Options) (cluster *Cluster, err error) {
	if options.Nodes == 0 {
		options.Nodes = defaultNodes
	}
	if options.Log == nil {
		options.Log = os.Stderr
	}
	dir, err := Build(ctx, options.Log)
	if err != nil {
		return nil, err
	}
	programs := []string{dir}
	if options.Machine != nil {
		dirs, err := buildMachine(ctx, options.Log)
		if err != nil {
			return nil, err
		}
		programs = append(programs, dirs...)
	}
	c := &Cluster{options: options, programs: programs, nursery: newNursery()}
	if err := c.start(ctx); err != nil {
		c.Stop()
		return nil, fmt.Errorf("start a Kubernetes cluster: %w", err)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if c.options.Machine != nil {
		if err := furnish(); err != nil {
			return fmt.Errorf("furnish the machine: %w", err)
		}
	}
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.startStore(); err != nil {
		return err
	}
	if err := c.StartServer(ctx); err != nil {
		return err
	}
	if err := c.defineKinds(ctx); err != nil {
		return err
	}
	if err := c.startControllers(); err != nil {
		return err
	}
	if err := c.createNodes(ctx); err != nil {
		return err
	}
	if err := c.createStorageClass(ctx); err != nil {
		return err
	}
	if err := await(ctx, "the cluster is", c.others, c.usable); err != nil {
		return err
	}
	if c.options.Machine != nil {
		if err := c.startMachine(ctx, *c.options.Machine); err != nil {
			return err
		}
	}
	for _, p := range c.others {
		p.report(c.options.Log)
	}
	return nil
}

// prepare makes all that the programs need to find: directory, ports, keys, users and the kubelet that they ask for logs.
func (c *Cluster) prepare() (err error) {
	if c.options.Dir != "" {
		c.dir = c.options.Dir
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return err
		}
	} else {
		if c.dir, err = os.MkdirTemp("", "windlass-kubernetes-"); err != nil {
			return err
		}
		if c.janitor, err = hireJanitor(c.dir); err != nil {
			return err
		}
	}
	for _, p := range []**port{&c.ports.server, &c.ports.etcd, &c.ports.peer} {
		if *p, err = reservePort(); err != nil {
			return err
		}
	}
	if c.authority, err = newAuthority(); err != nil {
		return err
	}
	if err := c.writeKeys(); err != nil {
		return err
	}
	users := append(append([]User{}, builtInUsers...), c.options.Users...)
	if c.tokens, err = writeTokens(c.path("tokens.csv"), users); err != nil {
		return err
	}
	for _, user := range builtInUsers {
		path, err := c.KubeconfigFor(user.Name, c.tokens[user.Name])
		if err != nil {
			return err
		}
		if user.Name == Administrator {
			c.administrator = path
		}
	}
	c.api = newClient(c.URL(), c.CA(), c.tokens[Administrator])
	c.kubelet, err = startKubelet(c)
	return err
}

func (c *Cluster) writeKeys() error {
	certificate, key, err := c.authority.serving()
	if err != nil {
		return err
	}
	accounts, err := newKey()
	if err != nil {
		return err
	}
	accountsKey, err := encodeKey(accounts)
	if err != nil {
		return err
	}
	files := map[string][]byte{"ca.crt": c.CA(), "server.crt": certificate, "server.key": key, "accounts.key": accountsKey}
	for name, content := range files {
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// URL is the address of the API server, such as https://127.0.0.1:41234.
func (c *Cluster) URL() string { return "https://" + c.ports.server.address() }

// CA is the certificate of the authority that signed the server's, in PEM.
func (c *Cluster) CA() []byte { return encodeCertificate(c.authority.certificate) }

// startStore starts etcd. The server waits for it.
func (c *Cluster) startStore() error {
	clients, peers := "http://"+c.ports.etcd.address(), "http://"+c.ports.peer.address()
	return c.run("etcd",
		"--name=test",
		"--data-dir="+c.path("etcd"),
		"--listen-client-urls="+clients, "--advertise-client-urls="+clients,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=test="+peers,
		"--socket-reuse-port",
		// The data need to outlive the process and not the machine.
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
}

// startControllers starts everything that talks to the server. None of them listens.
func (c *Cluster) startControllers() error {
	if err := c.run("kube-controller-manager", append(c.controllerFlags(controllerManagerUser),
		"--service-account-private-key-file="+c.path("accounts.key"),
		"--root-ca-file="+c.path("ca.crt"),
		"--use-service-account-credentials",
		// The default is in /usr.
		"--flex-volume-plugin-dir="+c.path("volume-plugins"),
		// A busy machine or a stopped server must not look like dead nodes.
		"--node-monitor-grace-period=10m",
	)...); err != nil {
		return err
	}
	if err := c.run("kube-scheduler", c.controllerFlags(schedulerUser)...); err != nil {
		return err
	}
	stages, err := c.writeStages()
	if err != nil {
		return err
	}
	return c.run("kwok",
		"--kubeconfig="+c.administrator,
		"--config="+stages,
		"--manage-nodes-with-annotation-selector="+fakeNodeAnnotation+"="+fakeNodeValue,
		"--cidr="+podRange,
		"--node-ip="+loopback,
		// Without a port it does not listen at all; with one it would, on all addresses.
		"--node-port=0",
	)
}

func (c *Cluster) controllerFlags(user string) []string {
	path := c.kubeconfigPath(user)
	return []string{
		"--kubeconfig=" + path, "--authentication-kubeconfig=" + path, "--authorization-kubeconfig=" + path,
		"--leader-elect=false",
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--secure-port=0",
	}
}

// run starts one of the processes that run until the end.
func (c *Cluster) run(name string, arguments ...string) error {
	p, err := c.launch(name, arguments...)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = append(c.others, p)
	return nil
}

// StartServer starts the API server again, on the same port and with the same data, and returns when it is ready. It does
// nothing when the server runs.
func (c *Cluster) StartServer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		return nil
	}
	server, err := c.launch("kube-apiserver", append([]string{
		"--etcd-servers=http://" + c.ports.etcd.address(),
		"--bind-address=" + loopback, "--secure-port=" + c.ports.server.String(), "--permit-port-sharing",
		"--advertise-address=" + loopback, "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceRange,
		"--cert-dir=" + c.path("certificates"),
		"--tls-cert-file=" + c.path("server.crt"), "--tls-private-key-file=" + c.path("server.key"),
		"--client-ca-file=" + c.path("ca.crt"),
		"--token-auth-file=" + c.path("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path("accounts.key"), "--service-account-signing-key-file=" + c.path("accounts.key"),
		"--kubelet-certificate-authority=" + c.path("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--allow-privileged",
	}, c.options.ServerFlags...)...)
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) error { return c.api.get(ctx, "/readyz", nil) }
	if err := await(ctx, "the API server is", append(c.others, server), ready); err != nil {
		server.kill()
		return err
	}
	server.report(c.options.Log)
	c.server = server
	return nil
}

// StopServer ends the API server as a power cut would: connections break and new ones are refused. Everything else goes on
// running, and waits for it. It does nothing when the server does not run.
func (c *Cluster) StopServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server.kill()
	c.server = nil
}

// Stop ends all processes and removes the directory where it was temporary. It may be called more than once.
func (c *Cluster) Stop() {
	if c.stopped.Swap(true) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Nobody is asked: whatever they would still have to write down is removed anyway. Clients go first, for the sake of the logs.
	for i := len(c.others) - 1; i > 0; i-- {
		c.others[i].kill()
	}
	c.server.kill()
	if len(c.others) > 0 {
		c.others[0].kill()
	}
	c.nursery.close()
	c.kubelet.close()
	c.resolver.close()
	for _, p := range []*port{c.ports.server, c.ports.etcd, c.ports.peer} {
		p.release()
	}
	c.janitor.dismiss()
}

// await polls until the check succeeds. It gives up when one of the processes that it needs has ended, when ctx ends, or when a
// busy machine cannot be the reason any more.
func await(ctx context.Context, what string, needed []*process, check func(context.Context) error) error {
	deadline, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		failure := check(deadline)
		if failure == nil {
			return nil
		}
		for _, p := range needed {
			if p.gone() {
				return p.obituary()
			}
		}
		select {
		case <-deadline.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s not ready after %s: %w", what, readyTimeout, failure)
		case <-ticker.C:
		}
	}
}
