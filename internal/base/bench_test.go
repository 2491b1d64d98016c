package base_test

import (
	"testing"

	"lockstep/internal/base"
	"lockstep/internal/blob"
)

func BenchmarkWriteRecords(b *testing.B) {
	benchmarkWrite(b, 100_000, 0)
}

func BenchmarkWriteVectors384(b *testing.B) {
	benchmarkWrite(b, 20_000, 384)
}

func benchmarkWrite(b *testing.B, n, dim int) {
	rows := words("words", n, dim)
	b.ReportAllocs()
	for b.Loop() {
		build(b, &blob.Mem{}, base.Options{}, rows, "words")
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReadRecords(b *testing.B) {
	const n = 100_000
	store := &blob.Mem{}
	m := build(b, store, base.Options{}, words("words", n, 0), "words")
	bs := open(b, store)
	b.ReportAllocs()
	for b.Loop() {
		count := 0
		for _, err := range bs.Rows(b.Context(), "words") {
			if err != nil {
				b.Fatal(err)
			}
			count++
		}
		if count != n {
			b.Fatal(count)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(m.Bytes())/n, "B/row")
}

func BenchmarkReadVectors384(b *testing.B) {
	const n = 20_000
	store := &blob.Mem{}
	m := build(b, store, base.Options{}, words("words", n, 384), "words")
	bs := open(b, store)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range bs.Vectors(b.Context(), "words") {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(m.Bytes())/n, "B/row")
}
