package embedding

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// form is how an object holds embeddings.
type form int

const (
	formNone form = iota
	formParquet
	formNDJSON
	formArchive
)

// formOf tells the form by the key's extension.
func formOf(key string) form {
	for ext, f := range map[string]form{
		".parquet": formParquet, ".ndjson": formNDJSON, ".jsonl": formNDJSON, ".tar.gz": formArchive, ".tgz": formArchive,
	} {
		if strings.HasSuffix(key, ext) {
			return f
		}
	}
	return formNone
}

const s3Scheme = "s3://"

// key returns the key or prefix within the bucket that location names.
func (im *Importer) key(location string) (string, error) {
	key := location
	if rest, ok := strings.CutPrefix(location, s3Scheme); ok {
		bucket, prefix, _ := strings.Cut(rest, "/")
		if im.opts.Bucket != "" && bucket != im.opts.Bucket {
			return "", lockstep.Hint(
				fmt.Errorf("%w: it is in bucket %q, imports are read from %q", lockstep.ErrRefused, bucket, im.opts.Bucket),
				"configure the bucket of the embedding pipeline as the source of imports")
		}
		key = prefix
	}
	return key, checkKey(strings.TrimSuffix(key, "/"))
}

// checkKey refuses what could mean a place outside the bucket or on another host.
func checkKey(key string) error {
	if key == "" || len(key) > blob.MaxKeyBytes || strings.ContainsFunc(key, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return fmt.Errorf("%w location: want 1 to %d bytes without backslash and control characters", lockstep.ErrInvalid, blob.MaxKeyBytes)
	}
	for seg := range strings.SplitSeq(key, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return fmt.Errorf("%w location: segment %q", lockstep.ErrInvalid, seg)
		}
	}
	return nil
}

// candidates returns the objects that base may mean, in the order in which they are
// tried; the directory layout comes after them.
func candidates(base string) []string {
	var keys []string
	if formOf(base) != formNone {
		keys = append(keys, base)
	}
	p := strings.TrimSuffix(base, "/")
	for _, k := range []string{p + "/delta.tar.gz", base + "delta.tar.gz", p + "/delta.parquet", p + "/delta.ndjson"} {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}
