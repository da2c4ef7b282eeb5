package chaos_test

import (
	"fmt"
	"testing"
)

// list is what is done to the main job on every cluster of one broker; replicated is what takes three.
var (
	list = []entry{
		{"main job", false, mainJob},
		{"worker killed at every step of a commit", false, workerKilled},
		{"worker paused past its session", false, workerPaused},
		{"broker killed in a commit", false, brokerKilled},
		{"broker killed when it has decided", false, brokerKilledDecided},
		{"EndTxn answered late", false, endAnsweredLate},
		{"EndTxn not answered", false, endNotAnswered},
		{"EndTxn delivered late", false, endDeliveredLate},
		{"foreign transaction in the input", false, foreignTransaction},
		{"rebalance in a commit", false, rebalanceInCommit},
		{"without transactions", false, control},
	}
	replicated = []entry{
		{"each broker killed in a commit", false, eachBrokerKilled},
		{"leaders moved", false, leadersMoved},
		{"transaction coordinator killed", false, coordinatorKilled},
		{"transaction coordinator moved", false, coordinatorMoved},
		{"too few replicas in sync", false, tooFewInSync},
		{"most brokers paused", false, mostPaused},
	}
)

type entry struct {
	name string
	long bool // only in full runs
	run  func(t *testing.T, on string, target target, name string)
}

func TestTheMainJobOnTheEmbeddedBroker(t *testing.T) { play1(t, "raven", startEmbedded(t), list) }

func TestTheMainJobOnApacheKafka(t *testing.T) { play1(t, "apache", startApache(t, 1), list) }

func TestTheMainJobOnThreeBrokersOfApacheKafka(t *testing.T) {
	play1(t, "apache-3", startApache(t, 3), replicated)
}

func play1(t *testing.T, on string, target target, list []entry) {
	for i, e := range list {
		t.Run(e.name, func(t *testing.T) {
			if e.long && !full() {
				t.Skip("SKIPPED, NOT TESTED: it takes long (RAVEN_CHAOS=full)")
			}
			e.run(t, on, target, fmt.Sprintf("job%d", i))
		})
	}
}
