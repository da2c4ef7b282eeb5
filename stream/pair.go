package stream

import (
	"encoding/binary"
	"errors"
)

// pair is what a join over bytes gives: both sides as they are. The function that makes the result of them runs in the bolt
// behind, fused with what follows, so that the result is never written as bytes just to be read again.
type pair[A, B any] struct {
	left     A
	right    B
	hasLeft  bool
	hasRight bool
}

// joinBytes writes a pair: the length of the left side plus one, or 0 if it is absent; the left side; 1 or 0; the right
// side.
func joinBytes(left, right []byte) []byte {
	b := make([]byte, 0, binary.MaxVarintLen64+1+len(left)+len(right))
	if left == nil {
		b = append(b, 0)
	} else {
		b = append(binary.AppendUvarint(b, uint64(len(left))+1), left...)
	}
	if right == nil {
		return append(b, 0)
	}
	return append(append(b, 1), right...)
}

var errPair = errors.New("read the sides of a join: damaged")

func cutBytes(b []byte) (left, right []byte, err error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)) {
		return nil, nil, errPair
	}
	b = b[used:]
	if n > 0 {
		if uint64(len(b)) < n-1 {
			return nil, nil, errPair
		}
		left, b = b[:n-1:n-1], b[n-1:]
	}
	if len(b) == 0 || b[0] > 1 || b[0] == 0 && len(b) > 1 {
		return nil, nil, errPair
	}
	if b[0] == 1 {
		right = b[1:]
	}
	return left, right, nil
}

type pairCodec[A, B any] struct {
	left  Codec[A]
	right Codec[B]
}

// Encode writes a pair again, where two joins of tables follow each other.
func (c pairCodec[A, B]) Encode(buf []byte, p pair[A, B]) ([]byte, error) {
	var left, right []byte
	var err error
	if p.hasLeft {
		if left, err = encode(c.left, p.left); err != nil {
			return nil, err
		}
	}
	if p.hasRight {
		if right, err = encode(c.right, p.right); err != nil {
			return nil, err
		}
	}
	return append(buf, joinBytes(left, right)...), nil
}

func (c pairCodec[A, B]) Decode(data []byte) (p pair[A, B], err error) {
	left, right, err := cutBytes(data)
	if err != nil {
		return p, err
	}
	if p.hasLeft = left != nil; p.hasLeft {
		if p.left, err = c.left.Decode(left); err != nil {
			return p, err
		}
	}
	if p.hasRight = right != nil; p.hasRight {
		p.right, err = c.right.Decode(right)
	}
	return p, err
}

// sides are the values of a pair as functions of outer joins want them: nil where a side is absent.
func (p *pair[A, B]) sides() (left *A, right *B) {
	if p.hasLeft {
		left = &p.left
	}
	if p.hasRight {
		right = &p.right
	}
	return left, right
}
