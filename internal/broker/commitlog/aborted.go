package commitlog

import (
	"errors"
	"slices"
	"sort"
)

// Aborted lists the transactions that were given up and have records from from on and below upTo, in the order of their
// markers. It may list some that ended just before from.
func (l *Log) Aborted(from, upTo int64) ([]Aborted, error) {
	for {
		out, err := l.collect(from, upTo)
		if !errors.Is(err, errGone) {
			return out, err
		}
	}
}

// collect goes through the segments from the one that holds from on, until it meets a marker after which nothing that
// began below upTo was open any more.
func (l *Log) collect(from, upTo int64) (out []Aborted, err error) {
	l.mu.RLock()
	segs := l.segments[l.at(from):]
	active := slices.Clip(l.active.contents.aborted) // it only grows, behind what is seen here
	l.mu.RUnlock()
	for _, s := range segs[:len(segs)-1] {
		list, err := l.abortedIn(s)
		if err != nil {
			return nil, err
		}
		var done bool
		if out, done = pick(out, list, from, upTo); done {
			return out, nil
		}
	}
	out, _ = pick(out, active, from, upTo)
	return out, nil
}

// pick appends what touches the range, and says whether nothing after it can. A list is in the order of its markers.
func pick(out, list []Aborted, from, upTo int64) ([]Aborted, bool) {
	i := sort.Search(len(list), func(i int) bool { return list[i].Last >= from })
	for _, a := range list[i:] {
		if a.First < upTo {
			out = append(out, a)
		}
		if a.Stable >= upTo {
			return out, true
		}
	}
	return out, false
}

func (l *Log) abortedIn(s *segment) ([]Aborted, error) {
	b, err := l.look(s)
	if err != nil || !b.many {
		return b.list(), err
	}
	h, err := l.acquire(s)
	if err != nil {
		return nil, err
	}
	defer l.cache.release(h)
	return h.contents.aborted, nil
}

func (b *brief) list() []Aborted {
	if b == nil {
		return nil
	}
	return b.aborted
}
