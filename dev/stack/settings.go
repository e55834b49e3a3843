package stack

import (
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
)

const (
	clusterName = "active"

	// clusterID is the same in every data directory, so that it also is the same at every start on one.
	clusterID = "6b1f5c06-9d0c-4d4f-8a0e-5f1d3c2b7a90"

	// queueWorkers is how many tasks of one of Temporal's queues are worked on at a time.
	queueWorkers = 32
)

// internalPorts are those that the parts of the Temporal server use among themselves, on loopback.
type internalPorts struct{ history, matching, worker *reservation }

func (p internalPorts) all() []*reservation { return []*reservation{p.history, p.matching, p.worker} }

func serverConfig(db database, frontend *reservation, ports internalPorts) *config.Config {
	service := func(ip string, port int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: ip}}
	}
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1"},
		},
		Persistence: config.Persistence{
			DefaultStore:     sqliteplugin.PluginName,
			VisibilityStore:  sqliteplugin.PluginName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{sqliteplugin.PluginName: {SQL: db.sql()}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {
					Enabled:                true,
					InitialFailoverVersion: 1,
					RPCAddress:             frontend.dial(),
					ClusterID:              clusterID,
				},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(frontend.ip(), frontend.port()),
			string(primitives.HistoryService):  service(ports.history.ip(), ports.history.port()),
			string(primitives.MatchingService): service(ports.matching.ip(), ports.matching.port()),
			string(primitives.WorkerService):   service(ports.worker.ip(), ports.worker.port()),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{
			Archival: config.ArchivalNamespaceDefaults{
				History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
				Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
			},
		},
		// The server's own workers fail to start without it.
		PublicClient: config.PublicClient{HostPort: frontend.dial()},
	}
}

func staticHosts(frontend *reservation, ports internalPorts) map[primitives.ServiceName]static.Hosts {
	local := func(r *reservation) static.Hosts { return static.SingleLocalHost(r.dial()) }
	return map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: local(frontend),
		primitives.HistoryService:  local(ports.history),
		primitives.MatchingService: local(ports.matching),
		primitives.WorkerService:   local(ports.worker),
	}
}

func dynamicSettings(taskRate, longHistory int) dynamicconfig.StaticClient {
	settings := dynamicconfig.StaticClient{
		// The stock 20 polls a second are per shard. With the one shard of SQLite they are what every step waits for.
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): taskRate,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():    taskRate,

		// One process needs no partitions; with them a task can wait in one while the poller waits in another.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,

		// SQLite has one writer, and nothing is replicated: the stock 2,176 goroutines would wait for it, or for nothing.
		dynamicconfig.TransferProcessorSchedulerWorkerCount.Key():               queueWorkers,
		dynamicconfig.TimerProcessorSchedulerWorkerCount.Key():                  queueWorkers,
		dynamicconfig.VisibilityProcessorSchedulerWorkerCount.Key():             queueWorkers,
		dynamicconfig.ReplicationProcessorSchedulerWorkerCount.Key():            1,
		dynamicconfig.ReplicationLowPriorityProcessorSchedulerWorkerCount.Key(): 1,

		dynamicconfig.NamespaceCacheRefreshInterval.Key(): time.Second,

		// Caches are bounded by what a development machine runs, not by what a cluster does.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 2000,
		dynamicconfig.HistoryCacheTTL.Key():              10 * time.Minute,
		dynamicconfig.EventsCacheTTL.Key():               10 * time.Minute,

		// It would ask a host on the internet.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
	if longHistory > 0 {
		settings[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = longHistory
	}
	return settings
}
