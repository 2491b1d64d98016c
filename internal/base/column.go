package base

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// The columns are read whole, row group by row group, out of the pages' own
// buffers: several times as fast as assembling rows through the library's reader.

func isEnd(err error) bool { return errors.Is(err, io.EOF) }

var errShape = errors.New("a page has not the values it counts")

// readStrings appends the values of a required or optional text column to dst;
// present, when not nil, says for each row whether it has one. Strings of one page
// share one piece of memory.
func readStrings(dst []string, present *[]bool, g parquet.RowGroup, column int) ([]string, error) {
	for page, err := range pages(g, column) {
		if err != nil {
			return nil, err
		}
		values, err := pageStrings(page)
		if err != nil {
			return nil, err
		}
		if present == nil {
			dst = append(dst, values...)
			continue
		}
		for _, level := range page.DefinitionLevels() {
			*present = append(*present, level != 0)
			value := ""
			if level != 0 {
				if len(values) == 0 {
					return nil, errShape
				}
				value, values = values[0], values[1:]
			}
			dst = append(dst, value)
		}
		if len(values) != 0 {
			return nil, errShape
		}
	}
	return dst, checkRows(len(dst), g)
}

// pageStrings returns the values of a page that are not null.
func pageStrings(page parquet.Page) ([]string, error) {
	dict := page.Dictionary()
	if dict == nil {
		return sliceStrings(page.Data())
	}
	words, err := sliceStrings(dict.Page().Data())
	if err != nil {
		return nil, err
	}
	data := page.Data()
	indexes := data.Int32()
	out := make([]string, len(indexes))
	for i, n := range indexes {
		if n < 0 || int(n) >= len(words) {
			return nil, errShape
		}
		out[i] = words[n]
	}
	return out, nil
}

func sliceStrings(data encoding.Values) ([]string, error) {
	if data.Kind() != encoding.ByteArray {
		return nil, errShape
	}
	all, offsets := data.ByteArray()
	if len(offsets) == 0 {
		return nil, nil
	}
	if int64(offsets[len(offsets)-1]) > int64(len(all)) {
		return nil, errShape
	}
	text := string(all)
	out := make([]string, len(offsets)-1)
	for i := range out {
		if offsets[i] > offsets[i+1] {
			return nil, errShape
		}
		out[i] = text[offsets[i]:offsets[i+1]]
	}
	return out, nil
}

// readNumbers appends the values of a required integer column to dst.
func readNumbers(dst []int64, g parquet.RowGroup, column int) ([]int64, error) {
	for page, err := range pages(g, column) {
		if err != nil {
			return nil, err
		}
		var words []int64
		if dict := page.Dictionary(); dict != nil {
			if words, err = integers(dict.Page().Data()); err != nil {
				return nil, err
			}
			data := page.Data()
			for _, n := range data.Int32() {
				if n < 0 || int(n) >= len(words) {
					return nil, errShape
				}
				dst = append(dst, words[n])
			}
			continue
		}
		if words, err = integers(page.Data()); err != nil {
			return nil, err
		}
		dst = append(dst, words...)
	}
	return dst, checkRows(len(dst), g)
}

func integers(data encoding.Values) ([]int64, error) {
	if data.Kind() == encoding.Int64 {
		return data.Int64(), nil
	}
	if data.Kind() != encoding.Int32 {
		return nil, errShape
	}
	narrow := data.Int32()
	out := make([]int64, len(narrow))
	for i, n := range narrow {
		out[i] = int64(n)
	}
	return out, nil
}

// readHashes appends the values of an optional column of 32 bytes to dst, zeros
// where there is none.
func readHashes(dst [][32]byte, g parquet.RowGroup, column int) ([][32]byte, error) {
	for page, err := range pages(g, column) {
		if err != nil {
			return nil, err
		}
		data := page.Data()
		if data.Kind() != encoding.FixedLenByteArray {
			return nil, errShape
		}
		all, size := data.FixedLenByteArray()
		var hash [32]byte
		if size != len(hash) {
			return nil, errShape
		}
		for _, level := range page.DefinitionLevels() {
			hash = [32]byte{}
			if level != 0 {
				if len(all) < len(hash) {
					return nil, errShape
				}
				all = all[copy(hash[:], all):]
			}
			dst = append(dst, hash)
		}
		if len(all) != 0 {
			return nil, errShape
		}
	}
	return dst, checkRows(len(dst), g)
}

// readVectors appends the values of a required list of floats to flat, and to ends
// where in flat each row's list ends. An empty list is an error.
func readVectors(flat []float32, ends []int, g parquet.RowGroup, column int) ([]float32, []int, error) {
	before := len(ends)
	for page, err := range pages(g, column) {
		if err != nil {
			return nil, nil, err
		}
		data := page.Data()
		if data.Kind() != encoding.Float {
			return nil, nil, errShape
		}
		floats, levels := data.Float(), page.RepetitionLevels()
		if len(levels) != len(floats) || len(page.DefinitionLevels()) != len(floats) || len(floats) == 0 || levels[0] != 0 {
			return nil, nil, errShape // fewer values than levels: an empty list
		}
		from := len(flat)
		flat = append(flat, floats...)
		for i, level := range levels {
			if level == 0 && i > 0 {
				ends = append(ends, from+i)
			}
		}
		ends = append(ends, len(flat)) // pages of this format end with a row
	}
	return flat, ends, checkRows(len(ends)-before, g)
}

func checkRows(n int, g parquet.RowGroup) error {
	if int64(n) != g.NumRows() || n > math.MaxInt32 {
		return fmt.Errorf("a column of %d values in a row group of %d rows", n, g.NumRows())
	}
	return nil
}
