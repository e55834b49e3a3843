// Package kubernetes runs a real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler, built from their Go modules, with the fake nodes of KWOK in place of machines. The real controllers do real
// rollouts, over hundreds of pods, and no container ever runs. It needs neither root nor a container engine. A
// Machine is the exception: a real node, for the one test that wants to see containers run.
//
// # Fate
//
// A pod becomes ready at once, and a pod of a Job completes at once, unless its fate is another. The fate is named by the label
// "test/fate" of the pod, or by the image of one of its containers: fate.test/<fate>:<any tag>. Where it comes about after some
// time, the annotation "test/after" says how long that is, or the image does: fate.test/<fate>/<seconds>s:<any tag>, also in
// milliseconds (500ms).
//
//	slow           runs and is not ready until after 2 s
//	never-ready    runs and never becomes ready
//	unready        is ready and stops being so after 2 s
//	crash          ends after 200 ms, again and again: exit code 1, restarts, CrashLoopBackOff. Where the pod is never
//	               restarted (a Job), it fails
//	out-of-memory  like crash, with reason OOMKilled and exit code 137
//	no-image       waits with ErrImagePull, then ImagePullBackOff
//	no-config      waits with CreateContainerConfigError
//	lingering      is ready at once, and goes only 2 s after it was deleted
//
// Any other fate is none. A pod that asks for more than a node has (64 CPUs, 256 GiB) is left unscheduled by the scheduler itself.
//
// Every container has logs: a first line, and last words where it ended badly.
//
// A PersistentVolumeClaim of the StorageClass "standard", which is the default, gets a volume, which grows with it and goes with
// it. A Service of type LoadBalancer gets the address ExternalIP. Nothing routes to any address of the cluster.
//
// # Machine
//
// A cluster with a Machine runs containerd, a kubelet and kube-proxy too. Pods there reach each other, the ClusterIPs, and Services
// by their names; the volumes that they claim are on its disk. NetworkPolicies are kept by nobody. All of it, and the test that uses
// it, is in an Enclosure: namespaces of its own, which leave the machine outside as it was. That needs root and a Linux that
// permits it; Obstacle says where it does not.
//
// # Trouble
//
// The API server can be stopped and started. A Gate is a bad way to it: it can be cut, and requests that pass it can meet with
// Trouble, such as an answer with 429, or one that is lost.
package kubernetes
