package client

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A line is eight hexadecimal digits, a space, the event's JSON and a line break. JSON as it is
// written here has none, so that reading goes on behind what was spoilt.
const (
	sumDigits    = 8
	lineOverhead = sumDigits + len(" \n")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendSum(dst, of []byte) []byte {
	sum := crc32.Checksum(of, castagnoli)
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[sum>>shift&15])
	}
	return dst
}

func appendLine(dst, event []byte) []byte {
	dst = append(appendSum(dst, event), ' ')
	return append(append(dst, event...), '\n')
}

// lines yields the whole lines of text: where each event stands, where its line ends, and whether
// its checksum fits.
func lines(text []byte, yield func(event span, end int, good bool) bool) {
	var sum [sumDigits]byte
	for from := 0; ; {
		n := bytes.IndexByte(text[from:], '\n')
		if n < 0 {
			return
		}
		line := text[from : from+n]
		event := span{from + sumDigits + 1, from + n}
		good := len(line) > sumDigits+1 && line[sumDigits] == ' ' &&
			bytes.Equal(line[:sumDigits], appendSum(sum[:0], line[sumDigits+1:]))
		from += n + 1
		if !yield(event, from, good) {
			return
		}
	}
}

// scanned is what a segment of an earlier process holds behind an offset.
type scanned struct {
	size        int64 // of the file, with half a line at its end cut
	events, bad int
}

// scanSegment reads a segment and cuts the half line at its end.
func scanSegment(path string, offset int64) (found scanned, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return found, err
	}
	text := make([]byte, max(0, info.Size()-offset))
	if _, err := f.ReadAt(text, offset); err != nil && err != io.EOF {
		return found, err
	}
	end := 0
	lines(text, func(_ span, to int, good bool) bool {
		end = to
		if good {
			found.events++
		} else {
			found.bad++
		}
		return true
	})
	found.size = offset + int64(end)
	if found.size < info.Size() {
		err = f.Truncate(found.size)
	}
	return found, err
}

// listSegments returns the numbers of the segments, in order.
func listSegments(dir string) (numbers []uint64, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		n, err := strconv.ParseUint(strings.TrimSuffix(f.Name(), segmentSuffix), 16, 64)
		if err == nil && f.Name() == segmentName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// markBytes is the length of a cursor: two numbers, a checksum, each with what separates it.
const markBytes = 16 + 1 + 16 + 1 + sumDigits + 1

// writeMark is one short write at one place: a process that dies leaves the old mark or the new
// one. One that cannot be written leads to events sent twice, never to a lost one.
func writeMark(f *os.File, m mark) {
	text := fmt.Appendf(make([]byte, 0, markBytes), "%016x %016x ", m.segment, m.offset)
	text = append(appendSum(text, text), '\n')
	_, _ = f.WriteAt(text, 0)
}

// readMark returns the beginning of everything where no mark can be read.
func readMark(f *os.File) mark {
	var text [markBytes]byte
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, markBytes), text[:]); err != nil {
		return mark{}
	}
	const head = 16 + 1 + 16 + 1
	var m mark
	if !bytes.Equal(appendSum(nil, text[:head]), text[head:head+sumDigits]) {
		return mark{}
	}
	if _, err := fmt.Sscanf(string(text[:head]), "%x %x", &m.segment, &m.offset); err != nil || m.offset < 0 {
		return mark{}
	}
	return m
}

// syncDir brings the names of new files to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
