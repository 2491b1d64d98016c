package base_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// full is a row with its vector.
type full struct {
	base.Row
	vector []float32
}

func hashOf(vector []float32) lockstep.VectorRef {
	if len(vector) == 0 {
		return lockstep.VectorRef{}
	}
	var b []byte
	for _, x := range vector {
		if x == 0 {
			x = 0
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return lockstep.VectorRef{Hash: blake3.Sum256(b), Dim: uint32(len(vector))}
}

// words returns n rows as the receipt pipeline makes them, with vectors of dim
// components when dim > 0.
func words(c lockstep.Collection, n, dim int) []full {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	rows := make([]full, n)
	for i := range rows {
		r := lockstep.Record{
			ID: fmt.Sprintf("IMAGE#3f52804b-2fad-4e00-92c8-b593da3a8ed3#RECEIPT#%05d#LINE#%05d#WORD#%05d", i/100, i/10%10, i%10),
			Metadata: lockstep.Metadata{
				{Key: "confidence", Value: lockstep.Float(rng.Float64())},
				{Key: "image_id", Value: lockstep.String("3f52804b-2fad-4e00-92c8-b593da3a8ed3")},
				{Key: "label_status", Value: lockstep.String("validated")},
				{Key: "line_id", Value: lockstep.Int(int64(i / 10 % 10))},
				{Key: "merchant_name", Value: lockstep.String("Sprouts Farmers Market")},
				{Key: "receipt_id", Value: lockstep.Int(int64(i / 100))},
				{Key: "text", Value: lockstep.String(fmt.Sprintf("%.2f", rng.Float64()*100))},
				{Key: "valid_labels", Value: lockstep.Strings("LINE_TOTAL", "UNIT_PRICE")},
				{Key: "x", Value: lockstep.Float(rng.Float64())},
			},
			Document:    fmt.Sprintf("word number %d", i),
			HasDocument: true,
		}
		var vector []float32
		if dim > 0 {
			vector = make([]float32, dim)
			for j := range vector {
				vector[j] = rng.Float32()*2 - 1
			}
		}
		r.Vector = hashOf(vector)
		a := lockstep.Author{Version: uint64(1 + i%7), Message: fmt.Sprintf("shardId-00000001-%d", i/3), Revision: "receipts@2:4f1c"}
		rows[i] = full{base.Row{Collection: c, Record: r, Author: a}, vector}
	}
	return rows
}

func sealOf(cs ...lockstep.Collection) base.Seal {
	s := base.Seal{
		Head:    base.Head{Hash: hex.EncodeToString(bytes.Repeat([]byte{7}, 32)), At: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)},
		Digests: map[lockstep.Collection]string{}, Sums: map[lockstep.Collection][]byte{},
	}
	for i, c := range cs {
		s.Sums[c] = bytes.Repeat([]byte{byte(i)}, base.SumBytes)
		h := blake3.Sum256(s.Sums[c])
		s.Digests[c] = hex.EncodeToString(h[:])
	}
	return s
}

var testID = base.ID{Version: 42, Unique: "k3"}

// build writes the rows as the base testID.
func build(t testing.TB, store blob.Store, opts base.Options, rows []full, cs ...lockstep.Collection) base.Manifest {
	t.Helper()
	b := base.NewBuilder(store, testID, opts)
	for _, r := range rows {
		if err := b.Add(t.Context(), r.Row, r.vector); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Finish(t.Context(), sealOf(cs...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t testing.TB, store blob.Store) *base.Base {
	t.Helper()
	b, err := base.Open(t.Context(), store, testID.Version, testID.Unique)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// body returns the bytes of one object.
func body(t testing.TB, store blob.Store, key string) []byte {
	t.Helper()
	b, err := blob.ReadAll(t.Context(), store, key, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// replace overwrites an object, which the port cannot say on purpose.
func replace(t testing.TB, store blob.Store, key string, body []byte) {
	t.Helper()
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

func cancelled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
