package server

import "testing"

func TestFrameClassesFitTheirFrames(t *testing.T) {
	was := -1
	for n := smallFrame + 1; n <= largeFrame; n += 1 + n/1000 {
		class, size := frameClass(n)
		if size < n || size > n+n/4 {
			t.Fatalf("a frame of %d bytes takes %d", n, size)
		}
		if class < was || class > was+1 || class >= frameClasses {
			t.Fatalf("a frame of %d bytes is of class %d, after %d of %d", n, class, was, frameClasses)
		}
		if again, same := frameClass(size); again != class || same != size {
			t.Fatalf("a frame of %d bytes is of class %d and size %d, and given back of %d and %d", n, class, size, again, same)
		}
		was = class
	}
	if class, size := frameClass(largeFrame); class >= frameClasses || size != largeFrame {
		t.Fatalf("the largest frame is of class %d and size %d", class, size)
	}
}

func TestFramesAreUsedAgain(t *testing.T) {
	var f frames
	for _, n := range []int{10, smallFrame, smallFrame + 1, 1 << 20, 5<<20 + 3, largeFrame, largeFrame + 1} {
		frame := f.get(n)
		if len(frame) != n {
			t.Errorf("asked for %d bytes, got %d", n, len(frame))
		}
		f.put(frame)
		if len(f.get(n)) != n {
			t.Errorf("asked again for %d bytes", n)
		}
	}
}
