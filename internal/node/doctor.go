package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"ravenswood.dev/internal/broker/doctor"
)

// What the doctor of the embedded broker tells.
type (
	Finding  = doctor.Finding
	Repaired = doctor.Repaired
)

// SeverityNote marks findings by which nothing is lost.
const SeverityNote = doctor.Note

// Examine reads all that the embedded broker has stored in a data folder, while it does not run, and changes nothing. progress, if
// not nil, is told of bytes after every few megabytes.
func Examine(ctx context.Context, data string, progress func(done, total int64)) (doctor.Report, error) {
	o := doctor.Directory(filepath.Join(data, "log"))
	if progress != nil {
		o.Progress = func(p doctor.Progress) { progress(p.Done, p.Total) }
	}
	report, err := doctor.Examine(ctx, o)
	return report, adviseDoctor(err, data)
}

// Repair makes a damaged partition of the embedded broker readable again, while it does not run, and says what is lost.
func Repair(ctx context.Context, data, topic string, partition int32) ([]doctor.Repaired, error) {
	done, err := doctor.Repair(ctx, doctor.Directory(filepath.Join(data, "log")), topic, partition)
	return done, adviseDoctor(err, data)
}

func adviseDoctor(err error, data string) error {
	if _, running := errors.AsType[*doctor.RunningError](err); running {
		return &AdvisedError{Err: err, Advice: "stop it first; a broker that runs tells of damage in its log"}
	}
	if errors.Is(err, doctor.ErrNoData) {
		return &AdvisedError{Err: err, Advice: fmt.Sprintf("name the data folder with --data; %q is the one in use", data)}
	}
	if errors.Is(err, doctor.ErrUnknown) {
		return &AdvisedError{Err: err, Advice: "`raven doctor` lists what is damaged"}
	}
	return err
}
