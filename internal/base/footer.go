package base

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A Parquet file ends with its footer, the footer's length and this.
const (
	parquetMagic = "PAR1"
	tailBytes    = 4 + len(parquetMagic)
)

var errFooter = errors.New("unexpected Parquet footer")

// footerOf returns where the footer of a file begins and ends.
func footerOf(file []byte) (start, end int, err error) {
	end = len(file) - tailBytes
	if end < 0 || string(file[end+4:]) != parquetMagic {
		return 0, 0, fmt.Errorf("%w: it does not end with %s", errFooter, parquetMagic)
	}
	length := binary.LittleEndian.Uint32(file[end:])
	if int64(length) > int64(end-len(parquetMagic)) {
		return 0, 0, fmt.Errorf("%w: %d bytes in a file of %d", errFooter, length, len(file))
	}
	return end - int(length), end, nil
}

// withoutPageIndex returns file, whose memory it uses, without column and offset
// indexes; row groups keep their statistics. parquet-go v0.32 indexes every column,
// and those whose bounds it was told to skip with empty bounds: DataFusion then
// refuses the file, and a reader that believes them would skip rows. A row group
// has few pages, so nothing is lost.
func withoutPageIndex(file []byte) ([]byte, error) {
	start, end, err := footerOf(file)
	if err != nil {
		return nil, err
	}
	var meta format.FileMetaData
	protocol := &thrift.CompactProtocol{}
	if err := thrift.Unmarshal(protocol, file[start:end], &meta); err != nil {
		return nil, fmt.Errorf("%w: %w", errFooter, err)
	}
	pagesEnd, indexStart := int64(len(parquetMagic)), int64(start)
	for i := range meta.RowGroups {
		for j := range meta.RowGroups[i].Columns {
			c := &meta.RowGroups[i].Columns[j]
			from := c.MetaData.DataPageOffset
			if d := c.MetaData.DictionaryPageOffset; d > 0 && d < from {
				from = d
			}
			pagesEnd = max(pagesEnd, from+c.MetaData.TotalCompressedSize)
			for _, at := range []int64{c.ColumnIndexOffset, c.OffsetIndexOffset} {
				if at > 0 {
					indexStart = min(indexStart, at)
				}
			}
			c.ColumnIndexOffset, c.ColumnIndexLength, c.OffsetIndexOffset, c.OffsetIndexLength = 0, 0, 0, 0
		}
	}
	if pagesEnd > indexStart {
		return nil, fmt.Errorf("%w: pages end at %d, indexes begin at %d", errFooter, pagesEnd, indexStart)
	}
	footer, err := thrift.Marshal(protocol, &meta)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFooter, err)
	}
	file = append(file[:indexStart], footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer)))
	return append(file, parquetMagic...), nil
}
