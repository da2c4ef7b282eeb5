package api

// Table is a topic turned into a table: the newest record of each key is its row. It is kept by the topology's own
// processes, joined by its bolts, and can be asked for under its name.
type Table struct {
	Topic     TableTopic `yaml:"topic" required:"true" doc:"The topic whose records are the rows; a record without a value removes its key's row."`
	Store     string     `yaml:"store" default:"disk" enum:"disk|memory" doc:"Where the rows are kept: on disk, or in memory, from where they must be read anew at each start."`
	Global    bool       `yaml:"global" doc:"Every process keeps the whole table, so that it can be joined by any field, whatever the partitions; for small tables."`
	History   Duration   `yaml:"history" doc:"How far back older versions of a row are kept, so that a join finds the one of the record's own time; 0 keeps the newest only." example:"7d"`
	Retention Duration   `yaml:"retention" doc:"How long a row lives after the time of its record; 0 means until it is removed." example:"30d"`
}

// TableTopic is the topic a table is made of.
type TableTopic struct {
	Name   string `yaml:"name" required:"true" doc:"Topic to read; compacted, or the table forgets what the topic does." example:"users"`
	Format string `yaml:"format" default:"json" enum:"json|raw|text" doc:"What the values are; a record that is not becomes a dead letter."`
	Start  string `yaml:"start" default:"earliest" enum:"earliest|latest" doc:"Where to begin when the topology has never read the topic."`
}
