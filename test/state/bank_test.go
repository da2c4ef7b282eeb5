package main

import (
	"strings"
	"testing"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func TestBankBuilds(t *testing.T) {
	if err := bank().Check(); err != nil {
		t.Fatal(err)
	}
	plan, err := bank().Plan()
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range plan.Stages {
		var names []string
		for _, s := range st.Stores {
			names = append(names, s.Name+" -> "+s.Changelog)
		}
		t.Logf("stage %s stateful %v: %s", st.Name, st.Stateful, strings.Join(names, ", "))
	}
	for _, in := range plan.Inputs {
		t.Logf("input %s stage %d", in.Topic, in.Stage)
	}
	for _, x := range plan.Tables {
		t.Logf("table %s store %s", x.Name, x.Store.Name)
	}
	t.Log(plan.Group, plan.DeadLetters)
}

func TestBankKeepsBooks(t *testing.T) {
	d := streamtest.New(t, bank(), streamtest.Partitions(partitions))
	streamtest.Input(d, topicOf[account](topicAccounts)).Send("a", account{Region: "r", Opening: 100})
	streamtest.Input(d, topicOf[account](topicAccounts)).Send("b", account{Region: "r", Opening: 100})
	streamtest.Input(d, topicOf[transfer](topicTransfers)).Send("1", transfer{ID: 1, From: "a", To: "b", Amount: 7})
	streamtest.Input(d, topicOf[confirmation](topicConfirmations)).Send("1", confirmation{ID: 1, Code: 3})
	for _, r := range streamtest.Output(d, topicOf[posting](topicPostings)).Records() {
		t.Log(r.Key, r.Value)
	}
	for _, r := range streamtest.Output(d, topicOf[settled](topicSettled)).Records() {
		t.Log(r.Key, r.Value)
	}
	for _, r := range streamtest.Output(d, stream.Topic(topicVolumes, stream.WindowedKey(stream.String()), stream.JSON[volume]())).Records() {
		t.Log(r.Key, r.Value)
	}
}
