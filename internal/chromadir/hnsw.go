package chromadir

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"lockstep/internal/lockstep"
)

// The files of a vector segment (CHROMA 5.8). link_lists.bin holds only the graph
// above level 0, which no record needs; it is never opened.
const (
	headerFile = "header.bin"
	dataFile   = "data_level0.bin"
	lengthFile = "length.bin"
	idMapFile  = "index_metadata.pickle"
)

const (
	headerBytes = 100     // struct <iQQQQQQiIQQQdQ of hnswalg.h persistHeader
	maxLinks    = 1 << 16 // maxM0; Chroma's default is 32
	floatBytes  = 4
	labelBytes  = 8
	deletedByte = 2 // of a slot; hnswalg.h isMarkedDeleted
	deletedMask = 0x01
)

// graph reads the vectors of one persisted HNSW segment. Nothing of the graph is
// in memory but which label is in which slot; vectors are read one at a time.
type graph struct {
	dir     string // segment folder, for errors
	data    *os.File
	lengths *os.File
	space   string
	dim     int
	slot    int64 // bytes per slot
	vector  int64 // offset of the vector within a slot
	count   int64 // slots in use
	slots   map[uint64]int64
	buf     []byte
}

// openGraph opens the segment folder below root. A nil graph without an error
// says that there is no header: Chroma never made an index here.
func openGraph(root *os.Root, segment, space string) (*graph, error) {
	g := &graph{dir: segment, space: space}
	raw, err := g.readHeader(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = g.parseHeader(raw)
	}
	if err == nil {
		g.data, err = g.openSized(root, dataFile, g.slot)
	}
	if err == nil {
		g.lengths, err = g.openSized(root, lengthFile, floatBytes)
	}
	if err == nil {
		g.buf = make([]byte, g.slot-labelBytes-g.vector)
		err = g.index()
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close releases the files.
func (g *graph) Close() error {
	var errs []error
	for _, f := range []*os.File{g.data, g.lengths} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

func (g *graph) corrupt(file string, at int64, format string, args ...any) error {
	return fmt.Errorf("%s/%s: %w at offset %d: %s", g.dir, file, lockstep.ErrCorrupt, at, fmt.Sprintf(format, args...))
}

func (g *graph) readHeader(root *os.Root) ([]byte, error) {
	f, err := root.Open(g.dir + "/" + headerFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, headerBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s/%s: %w", g.dir, headerFile, err)
	}
	if len(raw) != headerBytes {
		return nil, g.corrupt(headerFile, int64(len(raw)), "the header has %d bytes", headerBytes)
	}
	return raw, nil
}

// parseHeader takes over the layout. The numbers are believed only as far as they
// agree with each other; openSized then holds them against the files (chroma#7510:
// a length that was believed grew a file to 231 GiB).
func (g *graph) parseHeader(raw []byte) error {
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(raw[at:]) }
	var (
		version   = binary.LittleEndian.Uint32(raw)
		offset0   = u64(4)
		capacity  = u64(12)
		count     = u64(20)
		slot      = u64(28)
		labelAt   = u64(36)
		vectorAt  = u64(44)
		links0    = u64(68)
		linkBytes = links0*4 + 4
	)
	switch {
	case version != 1:
		return g.corrupt(headerFile, 0, "version %d, known is 1", version)
	case offset0 != 0 || links0 == 0 || links0 > maxLinks || vectorAt != linkBytes:
		return g.corrupt(headerFile, 44, "a vector at %d of the slot after %d links", vectorAt, links0)
	case labelAt <= vectorAt || labelAt-vectorAt > lockstep.MaxDimension*floatBytes || (labelAt-vectorAt)%floatBytes != 0:
		return g.corrupt(headerFile, 36, "a vector from %d to %d of the slot", vectorAt, labelAt)
	case slot != labelAt+labelBytes:
		return g.corrupt(headerFile, 28, "a slot of %d bytes with a label at %d", slot, labelAt)
	case count > capacity || count > math.MaxUint32:
		return g.corrupt(headerFile, 20, "%d elements in %d slots", count, capacity)
	}
	g.slot, g.vector, g.count = int64(slot), int64(vectorAt), int64(count)
	g.dim = int(labelAt-vectorAt) / floatBytes
	return nil
}

// openSized opens a file that must hold width bytes for each slot in use. Slots
// that were only reserved may be missing: the file grows by writing elements.
func (g *graph) openSized(root *os.Root, file string, width int64) (*os.File, error) {
	f, err := root.Open(g.dir + "/" + file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, g.corrupt(file, 0, "the file is missing beside a %s", headerFile)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s/%s: %w", g.dir, file, err)
	}
	info, err := f.Stat()
	if err == nil && info.Size()/width < g.count {
		err = g.corrupt(file, info.Size(), "the file is torn: %s states %d elements of %d bytes", headerFile, g.count, width)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// index finds out which label is in which slot, passing over deleted slots.
func (g *graph) index() error {
	g.slots = make(map[uint64]int64, g.count)
	in := bufio.NewReaderSize(io.NewSectionReader(g.data, 0, g.count*g.slot), 256<<10)
	slot := make([]byte, g.slot)
	for i := range g.count {
		if _, err := io.ReadFull(in, slot); err != nil {
			return g.corrupt(dataFile, i*g.slot, "%v", err)
		}
		if slot[deletedByte]&deletedMask != 0 {
			continue
		}
		label := binary.LittleEndian.Uint64(slot[g.slot-labelBytes:])
		if _, twice := g.slots[label]; twice {
			return g.corrupt(dataFile, (i+1)*g.slot-labelBytes, "label %d is in two slots", label)
		}
		g.slots[label] = i
	}
	return nil
}

// Vector returns the vector under label, and whether there is one. In a cosine
// space the file holds the unit vector and, apart, its length (hnswalg.h
// normalize_vector): the product is what Chroma answers, in float32 as there.
func (g *graph) Vector(label uint64) ([]float32, bool, error) {
	i, ok := g.slots[label]
	if !ok {
		return nil, false, nil
	}
	at := i*g.slot + g.vector
	if _, err := g.data.ReadAt(g.buf, at); err != nil {
		return nil, false, g.corrupt(dataFile, at, "%v", err)
	}
	v := decodeFloats(g.buf)
	if g.space == spaceCosine {
		if _, err := g.lengths.ReadAt(g.buf[:floatBytes], i*floatBytes); err != nil {
			return nil, false, g.corrupt(lengthFile, i*floatBytes, "%v", err)
		}
		length := math.Float32frombits(binary.LittleEndian.Uint32(g.buf))
		for k := range v {
			v[k] *= length
		}
	}
	if err := lockstep.CheckVector(v); err != nil {
		return nil, false, g.corrupt(dataFile, at, "label %d: %v", label, err)
	}
	return v, true, nil
}

func decodeFloats(raw []byte) []float32 {
	v := make([]float32, len(raw)/floatBytes)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[i*floatBytes:]))
	}
	return v
}
