package server

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// An api is one kind of request: the versions that are spoken and who works on it.
type api struct {
	min, max int16
	handle   func(*Server, context.Context, *request) (answer, error)
	layouts  []func() *layout // by version
}

// allAPIs lists what this broker speaks.
func allAPIs() map[int16]api {
	all := map[int16]api{
		0:  {min: 3, max: 13, handle: produce},
		1:  {min: 4, max: 18, handle: fetchRecords},
		2:  {min: 1, max: 10, handle: plain(listOffsets)},
		3:  {min: 0, max: 13, handle: plain(metadata)},
		8:  {min: 2, max: 10, handle: plain(offsetCommit)},
		9:  {min: 1, max: 10, handle: plain(offsetFetch)},
		10: {min: 0, max: 6, handle: plain(findCoordinator)},
		11: {min: 2, max: 9, handle: joinGroup},
		12: {min: 0, max: 4, handle: plain(heartbeat)},
		13: {min: 0, max: 5, handle: plain(leaveGroup)},
		14: {min: 0, max: 5, handle: syncGroup},
		15: {min: 0, max: 6, handle: plain(describeGroups)},
		16: {min: 0, max: 5, handle: plain(listGroups)},
		17: {min: 0, max: 1, handle: plain(saslHandshake)},
		18: {min: 0, max: 4, handle: plain(apiVersions)},
		19: {min: 2, max: 7, handle: plain(createTopics)},
		20: {min: 1, max: 6, handle: plain(deleteTopics)},
		21: {min: 0, max: 2, handle: plain(deleteRecords)},
		22: {min: 0, max: 5, handle: plain(initProducerID)},
		23: {min: 2, max: 4, handle: plain(offsetForLeaderEpoch)},
		24: {min: 0, max: 5, handle: plain(addPartitionsToTxn)},
		25: {min: 0, max: 4, handle: plain(addOffsetsToTxn)},
		26: {min: 0, max: 5, handle: plain(endTxn)},
		27: {min: 1, max: 2, handle: plain(writeTxnMarkers)},
		28: {min: 0, max: 5, handle: plain(txnOffsetCommit)},
		29: {min: 1, max: 3, handle: plain(describeACLs)},
		30: {min: 1, max: 3, handle: plain(createACLs)},
		31: {min: 1, max: 3, handle: plain(deleteACLs)},
		32: {min: 1, max: 4, handle: plain(describeConfigs)},
		33: {min: 0, max: 2, handle: plain(alterConfigs)},
		35: {min: 1, max: 4, handle: plain(describeLogDirs)},
		36: {min: 0, max: 2, handle: plain(saslAuthenticate)},
		37: {min: 0, max: 3, handle: plain(createPartitions)},
		42: {min: 0, max: 2, handle: plain(deleteGroups)},
		43: {min: 0, max: 2, handle: plain(electLeaders)},
		44: {min: 0, max: 1, handle: plain(incrementalAlterConfigs)},
		45: {min: 0, max: 0, handle: plain(alterPartitionAssignments)},
		46: {min: 0, max: 0, handle: plain(listPartitionReassignments)},
		47: {min: 0, max: 0, handle: plain(offsetDelete)},
		48: {min: 0, max: 1, handle: plain(describeClientQuotas)},
		49: {min: 0, max: 1, handle: plain(alterClientQuotas)},
		50: {min: 0, max: 0, handle: plain(describeUserScramCredentials)},
		51: {min: 0, max: 0, handle: plain(alterUserScramCredentials)},
		60: {min: 0, max: 2, handle: plain(describeCluster)},
		61: {min: 0, max: 0, handle: plain(describeProducers)},
		65: {min: 0, max: 0, handle: plain(describeTransactions)},
		66: {min: 0, max: 2, handle: plain(listTransactions)},
		74: {min: 0, max: 1, handle: plain(listConfigResources)},
		75: {min: 0, max: 0, handle: plain(describeTopicPartitions)},
	}
	for key, a := range all {
		a.learnLayouts(key)
		all[key] = a
	}
	return all
}

// plain makes a handler of a function that has its response when it returns.
func plain(f func(*Server, context.Context, *request) kmsg.Response) func(*Server, context.Context, *request) (answer, error) {
	return func(s *Server, ctx context.Context, r *request) (answer, error) { return now(f(s, ctx, r)), nil }
}

// work decodes a request and handles it. A mistake of ours that panics ends the connection, not the process: one request
// must not take everybody else's broker away.
func (s *Server) work(ctx context.Context, r *request, body []byte) (a answer, err error) {
	defer s.survive(r, &err)
	if err := r.decode(body); err != nil {
		return nil, err
	}
	return s.handle(ctx, r)
}

func (s *Server) handle(ctx context.Context, r *request) (a answer, err error) {
	api := s.apis[r.key]
	if err := r.conn.session.Admit(r.key, time.Now()); err != nil {
		return nil, err
	}
	a, err = s.faulty(ctx, r, api.handle)
	if err != nil {
		return nil, err
	}
	return s.observed(r, a), nil
}

// errPanic closes the connection of a request that ran into a mistake of ours.
var errPanic = errors.New("internal error")

// survive makes an error of a panic.
func (s *Server) survive(r *request, err *error) {
	if p := recover(); p != nil {
		s.log.Error("request ran into an internal error; please report it", "request", kmsg.NameForKey(r.key), "version", r.version, "panic", p, "stack", string(debug.Stack()))
		*err = errPanic
	}
}
