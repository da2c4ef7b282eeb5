package api

// Topology declares a graph of spouts, bolts and sinks.
type Topology struct {
	Metadata Metadata     `yaml:"metadata" required:"true" doc:"Name and owner."`
	Spec     TopologySpec `yaml:"spec" required:"true" doc:"The graph and how it runs."`
}

// Delivery is the guarantee a topology gives.
type Delivery string

// The two deliveries.
const (
	// ExactlyOnce commits outputs and input offsets in one transaction.
	ExactlyOnce Delivery = "exactly-once"
	// AtLeastOnce commits input offsets after the outputs are acknowledged: nothing is lost, a crash may repeat.
	AtLeastOnce Delivery = "at-least-once"
)

// TopologySpec is the graph and its limits.
type TopologySpec struct {
	Delivery     Delivery         `yaml:"delivery" default:"exactly-once" enum:"exactly-once|at-least-once" doc:"The guarantee: each record delivered exactly once, or at least once."`
	Workers      int              `yaml:"workers" default:"1" doc:"Workers in each process; each owns a share of the partitions and commits on its own."`
	Commit       Duration         `yaml:"commitInterval" default:"100ms" doc:"Time between commits; results become visible to readers at a commit."`
	Limits       Limits           `yaml:"limits" doc:"What one worker may hold in memory."`
	Retry        Retry            `yaml:"retry" doc:"What happens to a record that a bolt cannot work on for now."`
	DrainTimeout Duration         `yaml:"drainTimeout" default:"10s" doc:"How long a stop waits for records in hand before it leaves them to the next start."`
	Audit        *Audit           `yaml:"audit" doc:"How events are told apart, so that what went in can be counted against what came out."`
	Standbys     int              `yaml:"standbys" default:"0" doc:"Copies of each stage's stores that other processes keep up to date, so that one of them can take over at once."`
	Tables       map[string]Table `yaml:"tables" doc:"Topics turned into tables, by name: for bolts to join, and to be asked." names:"node"`
	Spouts       map[string]Node  `yaml:"spouts" doc:"Where records enter, by name; none are needed if there are tables." component:"spout"`
	Bolts        map[string]Node  `yaml:"bolts" doc:"Where records are worked on, by name." component:"bolt"`
	Sinks        map[string]Node  `yaml:"sinks" doc:"Where records leave, by name; none are needed if something is kept that can be asked for." component:"sink"`
}

// Audit makes a topology checkable from outside: every event that its spouts brought in must be in each of the sinks
// exactly once, or be a dead letter.
type Audit struct {
	ID    string   `yaml:"id" required:"true" doc:"Path of the field that is different for every event." example:"messageId"`
	Sinks []string `yaml:"sinks" doc:"Sinks that must hold every event; empty means all of them."`
}

// Limits bound the memory of one worker. A partition that reaches a limit is paused until room is back.
type Limits struct {
	Records          int  `yaml:"records" default:"16384" doc:"Records in hand per worker, from read until committed."`
	Bytes            Size `yaml:"bytes" default:"64MB" doc:"Bytes of records in hand per worker."`
	PartitionRecords int  `yaml:"partitionRecords" default:"8192" doc:"Records in hand per partition: how far reading may run ahead of its oldest unfinished record."`
	RecordBytes      Size `yaml:"recordBytes" default:"1MB" doc:"Largest record that is worked on; a larger one becomes a dead letter."`
	Parked           int  `yaml:"parked" default:"10000" doc:"Records parked per partition before the partition is paused."`
}

// Retry is the course of a record that fails for a reason that may pass: attempts in its lane while the budget
// lasts, then its key is parked and tried again more and more rarely, then it becomes a dead letter. A record that can
// never succeed becomes a dead letter at once.
type Retry struct {
	Budget     Duration `yaml:"budget" default:"10s" doc:"How long a record is retried while the later records of its key wait in memory."`
	Backoff    Duration `yaml:"backoff" default:"50ms" doc:"Pause before the first retry; doubles with each, with jitter."`
	MaxBackoff Duration `yaml:"maxBackoff" default:"5s" doc:"Longest pause between retries."`
	Park       Duration `yaml:"park" default:"5m" doc:"How long a key stays parked, retried in the background, before its first record becomes a dead letter; 0 means no parking."`
	ParkEvery  Duration `yaml:"parkEvery" default:"5s" doc:"Pause between retries of a parked key."`
}

// Node is one spout, bolt or sink: what feeds it, and exactly one component with its settings.
type Node struct {
	// From names what feeds a bolt or sink: spouts and bolts, or one output of a bolt as "bolt.output".
	From []string
	// Component is the key under which the settings stand, such as "topic" or "call".
	Component string
	// Config is a pointer to the component's own settings type, decoded and with defaults filled in.
	Config any
}
