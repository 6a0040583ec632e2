package rollup

import (
	"encoding/binary"
	"errors"
	"math"
)

// version begins each encoding.
const version = 1

var errBroken = errors.New("the bytes of a roll-up cannot be read")

// input reads what was appended. After a fault everything is zero.
type input struct {
	b   []byte
	err error
}

// read begins an encoding.
func read(b []byte) *input {
	in := &input{b: b}
	if in.byte() != version {
		in.err = errBroken
	}
	return in
}

func (in *input) fail() { in.b, in.err = nil, errBroken }

func (in *input) byte() byte {
	if len(in.b) == 0 {
		in.fail()
		return 0
	}
	c := in.b[0]
	in.b = in.b[1:]
	return c
}

func (in *input) varint() int64 {
	v, n := binary.Varint(in.b)
	if n <= 0 {
		in.fail()
		return 0
	}
	in.b = in.b[n:]
	return v
}

func (in *input) float() float64 {
	if len(in.b) < 8 {
		in.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(in.b))
	in.b = in.b[8:]
	return f
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// text is the next text; it is part of what is read.
func (in *input) text() []byte {
	n, size := binary.Uvarint(in.b)
	if size <= 0 || n > uint64(len(in.b)-size) {
		in.fail()
		return nil
	}
	text := in.b[size : size+int(n)]
	in.b = in.b[size+int(n):]
	return text
}

func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// AppendPart appends one of several named parts, which Parts reads.
func AppendPart(b []byte, name string, part []byte) []byte {
	return appendText(appendText(b, name), part)
}

// Parts gives each of the named parts, in their order.
func Parts(b []byte, part func(name string, data []byte) error) error {
	in := &input{b: b}
	for len(in.b) > 0 {
		name, data := in.text(), in.text()
		if in.err != nil {
			return in.err
		}
		if err := part(string(name), data); err != nil {
			return err
		}
	}
	return nil
}
