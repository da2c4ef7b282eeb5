package file

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"ravenswood.dev/internal/component"
)

// input is one open file.
type input struct {
	file    *os.File
	gzip    bool
	window  window
	split   splitter
	csv     *rows // split, if it is CSV
	flagged int   // records handed on as raw bytes
}

// openInput opens a file at a position and finds out about its compression and its columns, which it gives to p.
func openInput(path string, at *position, c *SpoutConfig, p *parser) (*input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := &input{file: f, split: &lines{}}
	if err := in.prepare(at, c, p); err != nil {
		_ = f.Close()
		return nil, in.explain(err, *at)
	}
	return in, nil
}

func (in *input) prepare(at *position, c *SpoutConfig, p *parser) error {
	info, err := in.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return component.Permanent(errors.New("it is not a file; a pattern such as folder/*.jsonl reads the files of a folder"))
	}
	at.Inode = inode(info)
	if err := in.stream(c.Follow); err != nil {
		return err
	}
	at.Gzip = in.gzip
	if p.format == formatCSV {
		in.csv = &rows{delimiter: p.delimiter}
		in.split = in.csv
		if err := in.columns(at, c, p); err != nil {
			return err
		}
	}
	return in.skip(at.Offset)
}

var gzipMagic = []byte{0x1f, 0x8b}

// stream sets up reading, through gzip if the file begins like one or is called one.
func (in *input) stream(follow bool) error {
	in.window.src = in.file
	magic := make([]byte, len(gzipMagic))
	n, err := in.file.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n == 0 || !bytes.Equal(magic[:n], gzipMagic) && !strings.HasSuffix(in.file.Name(), ".gz") {
		return nil
	}
	if follow {
		return component.Permanent(errors.New("it is compressed, and follow needs a plain file"))
	}
	in.gzip = true
	in.window.src, err = gzip.NewReader(bufio.NewReaderSize(in.file, 64<<10))
	return err
}

// errNoHeader says that the header row of a file that is followed is not written yet.
var errNoHeader = errors.New("there is no header row yet")

// columns finds the names of a CSV file's columns: in the settings, or in its first row, which is read even if the
// position is far behind it.
func (in *input) columns(at *position, c *SpoutConfig, p *parser) (err error) {
	names := c.Columns
	if len(names) == 0 {
		if names, err = in.headerRow(at, c.Follow); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		p.columns = &header{} // an empty file
		return nil
	}
	if p.columns, err = newHeader(names, c.Numbers); err != nil {
		return component.Permanent(fmt.Errorf("read columns: %w", err))
	}
	return nil
}

func (in *input) headerRow(at *position, follow bool) ([]string, error) {
	n, err := in.window.next(in.split, unitMax)
	switch {
	case errors.Is(err, io.EOF) && follow:
		return nil, errNoHeader
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case n == 0:
		return nil, nil
	}
	fields, err := splitRow(trimEnd(trimMark(in.window.seen()[:n])), in.csv.delimiter)
	if err != nil {
		return nil, component.Permanent(fmt.Errorf("read header row: %w", err))
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	if at.Offset == 0 {
		at.Offset, at.Line = int64(n), 1
	}
	return names, nil
}

// trimMark removes the mark that some programs put at the beginning of UTF-8 text.
func trimMark(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }

// skip goes forward to an offset of the stream.
func (in *input) skip(offset int64) error {
	if !in.gzip {
		in.window = window{src: in.file}
		_, err := in.file.Seek(offset, io.SeekStart)
		return err
	}
	for left := offset; left > 0; {
		n := min(left, int64(len(in.window.seen())))
		in.window.take(int(n))
		if left -= n; left == 0 {
			break
		}
		if err := in.window.more(); errors.Is(err, io.EOF) {
			return component.Permanent(fmt.Errorf("it ends before byte %d, up to which it was read before: it is another file now", offset))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// unit returns the next line or row with its end, still in the window. At the end of the file it returns io.EOF; the
// unfinished line before it is a unit only if final is set, else it waits for the rest.
func (in *input) unit(final bool, limit int) ([]byte, error) {
	n, err := in.window.next(in.split, limit)
	runaway := in.csv != nil && in.csv.open() && (errors.Is(err, errTooLong) || errors.Is(err, io.EOF) && final)
	switch {
	case runaway && n+len(in.window.seen()) > 0:
		// A quote that does not end would swallow the rest of the file: only its first line is given up.
		n, err = in.window.next(&lines{}, unitMax)
	case errors.Is(err, errTooLong):
		n, err = in.window.next(in.split, unitMax)
	}
	if errors.Is(err, io.EOF) && final && n > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return in.window.seen()[:n], nil
}

// take moves on behind a unit.
func (in *input) take(unit []byte, at *position) {
	at.Offset += int64(len(unit))
	at.Line += int64(max(1, bytes.Count(unit, []byte{'\n'})))
	in.window.take(len(unit))
}

// stamp completes a position with the fingerprint of the file.
func (in *input) stamp(at *position) error {
	covered := min(at.Offset, headMax)
	if in.gzip {
		info, err := in.file.Stat()
		if err != nil {
			return err
		}
		covered = min(info.Size(), headMax)
	}
	if covered == at.HeadBytes {
		return nil
	}
	head, err := fingerprint(in.file, covered)
	if err != nil {
		// The file was cut under our feet: the end that comes next will show it. No fingerprint is better than a wrong one.
		covered, head = 0, ""
	}
	at.Head, at.HeadBytes = head, covered
	return nil
}

// explain adds the place to an error, and tells what no retry can mend.
func (in *input) explain(err error, at position) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, errNoHeader) {
		return err
	}
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, errTooLong):
		err = component.Permanent(err)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		err = component.Permanent(fmt.Errorf("damaged gzip: %w", err))
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("the gzip stream stops in the middle, is it still being written?: %w", err)
	}
	return fmt.Errorf("read %q line %d (byte %d): %w", in.file.Name(), at.Line+1, at.Offset, err)
}
