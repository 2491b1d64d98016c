package handler

import (
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"strings"

	"github.com/zeebo/blake3"
)

// SourceHash returns the hash, in hex, of the files of sources by path and
// content, without those that end in "_test.go": the Code of a builtin handler
// that embeds its own files. It returns "", which Description.Check refuses, when
// a file cannot be read or there is none; an embed.FS always can.
func SourceHash(sources fs.FS) string {
	h := blake3.New()
	var size [8]byte
	write := func(b []byte) {
		binary.LittleEndian.PutUint64(size[:], uint64(len(b)))
		_, _ = h.Write(size[:]) // a hash does not fail
		_, _ = h.Write(b)
	}
	write([]byte("lockstep/source/1"))
	files := 0
	err := fs.WalkDir(sources, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		body, err := fs.ReadFile(sources, path)
		if err != nil {
			return err
		}
		files++
		write([]byte(path))
		write(body)
		return nil
	})
	if err != nil || files == 0 {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
