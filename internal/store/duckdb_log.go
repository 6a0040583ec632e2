package store

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// badEntry is what DuckDB says of a log, and where, in which what an entry holds is not what was written.
var badEntry = regexp.MustCompile(`replaying WAL file "([^"]+)": Corrupt WAL file: entry at byte position (\d+) computed checksum`)

const (
	entryHead = 16 // bytes before an entry: its size and its checksum
	diskPage  = 4 << 10
)

// cutLog takes from a log an end that never reached the disk, because of which DuckDB does not open the
// database, and tells whether it has. After a power cut a file system may show zeros where something was
// appended and not synced. DuckDB passes over a log that ends amid an entry, but not over zeros. What was
// synced is all there: an entry that goes over into zeros, up to the end, was not, nor what follows it.
func (d *duck) cutLog(dir string, failed error) bool {
	m := badEntry.FindStringSubmatch(failed.Error())
	path := filepath.Join(dir, "tidemark.duckdb.wal")
	if m == nil || filepath.Base(m[1]) != filepath.Base(path) {
		return false
	}
	at, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return false
	}
	text, err := os.ReadFile(path)
	if err != nil || at < entryHead || at > int64(len(text)) || !unwritten(text, at) {
		return false
	}
	if err := os.Truncate(path, at-entryHead); err != nil {
		d.cfg.Logger.Warn("the database's log ends in what never reached the disk, which cannot be cut off", "error", err)
		return false
	}
	d.cfg.Logger.Warn("the database's log ended in what never reached the disk; it is cut off", "bytes", int64(len(text))-at+entryHead)
	return true
}

// unwritten tells whether a log's entry, which begins at a position, is zeros from some page on, and the
// log with it.
func unwritten(log []byte, at int64) bool {
	written := int64(len(bytes.TrimRight(log, "\x00")))
	if written <= at-entryHead {
		return true
	}
	size := int64(binary.LittleEndian.Uint64(log[at-entryHead:]))
	page := (written + diskPage - 1) / diskPage * diskPage
	return page < int64(len(log)) && page-at < size
}
