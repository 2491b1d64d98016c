package bench

import (
	"context"
	"fmt"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// fillChroma adds words of the same receipts, with the same metadata, documents and
// vectors, to the peer's collection, and returns their ids.
func fillChroma(ctx context.Context, s *chromaServer, records int) ([]string, error) {
	if err := s.create(ctx); err != nil {
		return nil, err
	}
	gen := generator(records)
	var ids []string
	var batch []handler.Embedding
	for i := 0; len(ids) < records; i++ {
		batch = append(batch, gen.Embeddings(gen.Receipt(i), "words")...)
		for len(batch) >= peerBatch && len(ids) < records {
			n := min(peerBatch, records-len(ids))
			if err := s.add(ctx, batch[:n]); err != nil {
				return nil, err
			}
			for _, e := range batch[:n] {
				ids = append(ids, e.ID)
			}
			batch = batch[n:]
		}
	}
	return ids, nil
}

func (s *chromaServer) add(ctx context.Context, es []handler.Embedding) error {
	var body struct {
		IDs        []string         `json:"ids"`
		Embeddings [][]float32      `json:"embeddings"`
		Documents  []string         `json:"documents"`
		Metadatas  []map[string]any `json:"metadatas"`
	}
	for _, e := range es {
		m := placeKeys(0)
		for _, f := range e.Metadata {
			m[f.Key] = f.Value.Any()
		}
		body.IDs, body.Embeddings = append(body.IDs, e.ID), append(body.Embeddings, e.Vector)
		body.Documents, body.Metadatas = append(body.Documents, e.Document), append(body.Metadatas, m)
	}
	return s.post(ctx, "add", body, nil)
}

// update gives the records the keys of another place. Chroma merges them into what
// is there.
func (s *chromaServer) update(ctx context.Context, ids []string, stamp uint64) error {
	keys := placeKeys(stamp)
	metadatas := make([]map[string]any, len(ids))
	for i := range metadatas {
		metadatas[i] = keys
	}
	return s.post(ctx, "update", map[string]any{"ids": ids, "metadatas": metadatas}, nil)
}

// placeKeys is what a place sets on every record of its receipt.
func placeKeys(stamp uint64) map[string]any {
	return map[string]any{
		"place_id": fmt.Sprintf("place-%016x", stamp), "merchant_name": fmt.Sprint("Merchant ", stamp%5), "merchant_category": fmt.Sprint("kind ", stamp%3),
		"address": fmt.Sprint(1+stamp%200, " Old Tannery Lane"), "phone_number": fmt.Sprintf("555-01%02d", stamp%100),
	}
}

// holds checks that updates did change the record: Chroma answers 200 to an update
// of an id that is missing, too (CHROMA 5.12).
func (s *chromaServer) holds(ctx context.Context, id string) error {
	var got struct {
		Metadatas []map[string]any `json:"metadatas"`
	}
	if err := s.post(ctx, "get", map[string]any{"ids": []string{id}, "include": []string{"metadatas"}}, &got); err != nil {
		return err
	}
	if len(got.Metadatas) != 1 || got.Metadatas[0]["place_id"] == placeKeys(0)["place_id"] {
		return fmt.Errorf("%w: %s was not updated", lockstep.ErrCorrupt, id)
	}
	return nil
}
