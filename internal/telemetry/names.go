package telemetry

// The names of all numbers, in one place so that dashboards and alerts can rely on them. Units come last; counters
// end in _total.
const (
	RecordsIn       = "raven_records_in_total"               // topology
	RecordsOut      = "raven_records_out_total"              // topology
	DeadLetters     = "raven_dead_letters_total"             // topology
	RecordsLost     = "raven_records_lost_total"             // topology
	WorkerRestarts  = "raven_worker_restarts_total"          // topology
	CommitSeconds   = "raven_commit_seconds"                 // topology, quantile
	InFlight        = "raven_records_in_flight"              // topology
	Lag             = "raven_lag_records"                    // topology
	Parked          = "raven_parked_records"                 // topology
	OldestAge       = "raven_oldest_record_age_seconds"      // topology
	OpenTransaction = "raven_open_transaction_age_seconds"   // topology
	TopologyUp      = "raven_topology_running"               // topology
	BoltRecords     = "raven_bolt_records_total"             // topology, bolt
	BoltErrors      = "raven_bolt_errors_total"              // topology, bolt
	BoltRetries     = "raven_bolt_retries_total"             // topology, bolt
	BoltSeconds     = "raven_bolt_seconds"                   // topology, bolt
	BoltDropped     = "raven_bolt_dropped_records_total"     // topology, bolt, reason
	BoltSchedules   = "raven_bolt_schedule_errors_total"     // topology, bolt
	SinkRecords     = "raven_sink_records_total"             // topology, sink
	SinkLag         = "raven_sink_lag_records"               // topology, sink
	SpoutRecords    = "raven_spout_records_total"            // topology, spout
	ServiceCalls    = "raven_service_calls_total"            // service, version, result
	ServiceSeconds  = "raven_service_call_seconds"           // service, version
	ServiceFlight   = "raven_service_in_flight"              // service, version
	BreakerState    = "raven_breaker_state"                  // service, version
	RouteDecisions  = "raven_route_decisions_total"          // service, version, why
	Mirrored        = "raven_mirror_total"                   // service, result
	ProcessUp       = "raven_service_process_up"             // service, version
	ProcessRestarts = "raven_service_process_restarts_total" // service, version

	StageTasks     = "raven_stage_tasks"              // topology, stage, state
	TaskStreamTime = "raven_task_stream_time_seconds" // topology, stage, partition; Unix time
	TaskDisk       = "raven_task_disk_bytes"          // topology, stage, partition
	StandbyLag     = "raven_standby_lag_records"      // topology, stage, partition
	StoreBytes     = "raven_store_bytes"              // topology, stage, store
	RestoreLeft    = "raven_restore_left_records"     // topology, stage, partition
	RestoreSeconds = "raven_restore_left_seconds"     // topology, stage, partition
	RestoredBytes  = "raven_restored_bytes"           // topology, stage, partition

	BrokerDiskFull       = "raven_broker_disk_full"
	BrokerFenced         = "raven_broker_fenced_partitions"
	BrokerProduced       = "raven_broker_produced_bytes_total"
	BrokerFetched        = "raven_broker_fetched_bytes_total"
	BrokerRequests       = "raven_broker_requests_total"        // request
	BrokerRequestSeconds = "raven_broker_request_seconds_total" // request
)

// The label names.
const (
	LabelTopology = "topology"
	LabelBolt     = "bolt"
	LabelSink     = "sink"
	LabelSpout    = "spout"
	LabelService  = "service"
	LabelVersion  = "version"
	LabelResult   = "result"
	LabelWhy      = "why"
	LabelQuantile = "quantile"
	LabelRequest  = "request"
	LabelReason   = "reason"
	LabelStage    = "stage"
	LabelState    = "state"
	LabelStore    = "store"
	LabelTask     = "partition"
)
