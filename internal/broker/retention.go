package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// retainEvery is how often records past their retention are removed.
const retainEvery = time.Minute

// never, in milliseconds, is when the cluster cleans by itself: fifty years.
const never = "1577847600000"

// retain removes what is past its retention, until stop is closed.
//
// The cluster has a cleaner of its own, which removes and compacts. It is switched off, because its compaction can lose
// records that the platform relies on: it looks above the last stable offset, so an open transaction that is then
// aborted takes the last committed value of a key with it, and it deletes the old files before it writes the new
// ones, so a kill between the two loses the keys for good. Compacted topics therefore only grow here; readers fold
// them by key anyway.
func retain(cluster *kfake.Cluster, stop <-chan struct{}) {
	ticker := time.NewTicker(retainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			cluster.ApplyRetention()
		}
	}
}
