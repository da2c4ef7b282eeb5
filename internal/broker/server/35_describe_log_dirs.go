package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// logDir is the name of the only directory: where it really is does not concern clients.
const logDir = "/data"

// describeLogDirs tells how much room partitions take.
func describeLogDirs(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeLogDirsRequest)
	response := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	if !s.allowed(r, acl.Cluster(), opDescribe) {
		response.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return response
	}
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = logDir
	for _, t := range s.topics.sorted() {
		wanted := wantedPartitions(req, t.name)
		out := kmsg.NewDescribeLogDirsResponseDirTopic()
		out.Topic = t.name
		for _, p := range t.all() {
			if wanted(p.index) {
				part := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
				part.Partition = p.index
				if p.log != nil {
					part.Size = p.log.Bytes()
				}
				out.Partitions = append(out.Partitions, part)
			}
		}
		if len(out.Partitions) > 0 {
			dir.Topics = append(dir.Topics, out)
		}
	}
	response.Dirs = append(response.Dirs, dir)
	return response
}

func wantedPartitions(req *kmsg.DescribeLogDirsRequest, topic string) func(int32) bool {
	if req.Topics == nil {
		return func(int32) bool { return true }
	}
	wanted := map[int32]bool{}
	for _, t := range req.Topics {
		if t.Topic == topic {
			for _, p := range t.Partitions {
				wanted[p] = true
			}
		}
	}
	return func(p int32) bool { return wanted[p] }
}
