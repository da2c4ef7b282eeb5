package main

import (
	"testing"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
	"ravenswood.dev/test/proof"
)

func TestTheBankAuditsClean(t *testing.T) {
	d := streamtest.New(t, bank(), streamtest.Partitions(partitions))
	accounts, transfers, confirmations := streamtest.Input(d, topicOf[account](topicAccounts)), streamtest.Input(d, topicOf[transfer](topicTransfers)), streamtest.Input(d, topicOf[confirmation](topicConfirmations))
	r := &replayed{accounts: map[string]account{}, transfers: map[int64]transfer{}, codes: map[int64]int64{}, book: map[string]standing{}, volumes: map[window]volume{}}
	for i := range 4 {
		a := account{Region: []string{"north", "south"}[i%2], Opening: 100}
		r.accounts[accountName(i)] = a
		accounts.Send(accountName(i), a, time.Unix(0, 0))
	}
	for id := range int64(50) {
		at := time.Unix(1000+id, 0)
		move := transfer{ID: id, From: accountName(int(id) % 4), To: accountName(int(id+1) % 4), Amount: id + 1}
		r.codes[id] = 7 * id
		r.add(move, at)
		transfers.Send(transferKey(id), move, at)
		confirmations.Send(transferKey(id), confirmation{ID: id, Code: 7 * id}, at)
	}
	f := &proof.Findings{}
	a := newAudit(f)
	for _, k := range streamtest.Output(d, topicOf[posting](topicPostings)).Records() {
		a.posting(k.Key, k.Value, "posting")
	}
	for _, k := range streamtest.Output(d, topicOf[settled](topicSettled)).Records() {
		a.settled(k.Value, "settled")
	}
	for _, k := range streamtest.Output(d, stream.Topic(topicVolumes, stream.WindowedKey(stream.String()), stream.JSON[volume]())).Records() {
		a.volume(window{k.Key.Key, k.Key.Start.UnixMilli()}, k.Value, "volume")
	}
	a.close(r)
	if a.counts.wrong() != 0 || a.counts.Records != outputs(50) {
		t.Errorf("%+v\n%v", a.counts, f.First())
	}
}
