package synth

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// tableItem is one item with its key.
type tableItem struct {
	key   lockstep.ItemKey
	image lockstep.Item
}

// items returns all items of the receipt as they are created, in the order in
// which a pipeline would write them: the run comes last, after what it embeds.
func (r *Receipt) items(o Options) []tableItem {
	out := []tableItem{r.receiptItem()}
	for i := range r.Lines {
		out = append(out, r.lineItem(&r.Lines[i]))
		for j := range r.Lines[i].Words {
			w := &r.Lines[i].Words[j]
			out = append(out, r.wordItem(r.Lines[i].ID, w))
			for n := range o.Letters {
				out = append(out, r.letterItem(r.Lines[i].ID, w, n+1))
			}
		}
	}
	out = append(out, r.places(o.Place)...)
	for i := range r.Lines {
		for _, w := range r.Lines[i].Words {
			for k := range w.Labels {
				out = append(out, r.labelItem(r.Lines[i].ID, w.ID, &w.Labels[k]))
			}
		}
	}
	for i := range r.Sections {
		out = append(out, r.sectionItem(&r.Sections[i]))
	}
	return append(out, r.summaryItem(), r.runItem())
}

// places returns the items that hold the merchant, of the chosen generation.
func (r *Receipt) places(p Place) []tableItem {
	if !r.HasPlace {
		return nil
	}
	switch p {
	case MetadataItems:
		return []tableItem{r.metadataItem()}
	case BothItems:
		return []tableItem{r.metadataItem(), r.placeItem()}
	case PlaceItems:
	}
	return []tableItem{r.placeItem()}
}

func (r *Receipt) item(sort, kind string, image lockstep.Item) tableItem {
	key := lockstep.ItemKey{Partition: r.Partition(), Sort: sort}
	image["PK"], image["SK"], image["TYPE"] = str(key.Partition), str(sort), str(kind)
	return tableItem{key, image}
}

func (r *Receipt) receiptItem() tableItem {
	return r.item(r.Sort(), "RECEIPT", lockstep.Item{
		"width": num(600), "height": num(2400), "timestamp_added": iso(r.Added),
		"raw_s3_bucket": str("synthetic"), "raw_s3_key": str("raw/" + r.Image + ".png"), "sha256": null(),
	})
}

func (r *Receipt) lineItem(l *Line) tableItem {
	it := geometry(l.Box, l.Text)
	it["embedding_status"] = str("SUCCESS")
	return r.item(r.LineSort(l.ID), "RECEIPT_LINE", it)
}

func (r *Receipt) wordItem(line int, w *Word) tableItem {
	it := geometry(w.Box, w.Text)
	it["embedding_status"], it["extracted_data"] = str("SUCCESS"), null()
	return r.item(r.WordSort(line, w.ID), "RECEIPT_WORD", it)
}

func (r *Receipt) letterItem(line int, w *Word, n int) tableItem {
	return r.item(fmt.Sprintf("%s#LETTER#%05d", r.WordSort(line, w.ID), n), "RECEIPT_LETTER", lockstep.Item{"text": str("x")})
}

func (r *Receipt) placeItem() tableItem {
	m := &r.Merchant
	return r.item(r.Sort()+"#PLACE", "RECEIPT_PLACE", lockstep.Item{
		"image_id": str(r.Image), "receipt_id": num(float64(r.ID)), "place_id": orNull(m.PlaceID), "merchant_name": orNull(m.Name),
		"merchant_category": orNull(m.Category), "formatted_address": orNull(m.Address), "phone_number": orNull(m.Phone),
		"validation_status": str("MATCHED"), "confidence": num(0.95), "timestamp": iso(r.Added), "open_now": {Type: lockstep.AttrBool, Truth: true},
	})
}

func (r *Receipt) metadataItem() tableItem {
	m := &r.Merchant
	return r.item(r.Sort()+"#METADATA", "RECEIPT_METADATA", lockstep.Item{
		"place_id": orNull(m.PlaceID), "merchant_name": orNull(m.Name), "merchant_category": orNull(m.Category),
		"address": orNull(m.Address), "phone_number": orNull(m.Phone), "canonical_merchant_name": orNull(strings.ToUpper(m.Name)),
		"validation_status": str("MATCHED"), "validated_by": str("TEXT_SEARCH"), "timestamp": iso(r.Added), "reasoning": null(),
		"matched_fields": {Type: lockstep.AttrSS, Set: []string{"name", "phone"}},
	})
}

func (r *Receipt) labelItem(line, word int, l *Label) tableItem {
	return r.item(r.WordSort(line, word)+"#LABEL#"+l.Name, "RECEIPT_WORD_LABEL", lockstep.Item{
		"reasoning": orNull(l.Reasoning), "timestamp_added": iso(l.Added), "validation_status": str(l.Status),
		"label_proposed_by": orNull(l.ProposedBy), "label_consolidated_from": null(),
	})
}

func (r *Receipt) sectionItem(s *Section) tableItem {
	lines := make([]lockstep.Attr, len(s.Lines))
	for i, n := range s.Lines {
		lines[i] = num(float64(n))
	}
	return r.item(r.Sort()+"#SECTION#"+s.Type, "RECEIPT_SECTION", lockstep.Item{
		"section_type": str(s.Type), "validation_status": str(s.Status), "confidence": num(s.Confidence),
		"line_ids": {Type: lockstep.AttrL, List: lines}, "created_at": iso(r.Added),
	})
}

func (r *Receipt) summaryItem() tableItem {
	return r.item(r.Sort()+"#SUMMARY", "RECEIPT_SUMMARY", lockstep.Item{
		"timestamp_computed": iso(r.Added), "item_count": num(float64(r.Items)), "grand_total": null(),
	})
}

func (r *Receipt) runItem() tableItem {
	state := "PENDING"
	if r.Merged {
		state = "COMPLETED"
	}
	return r.item(r.Sort()+"#COMPACTION_RUN#"+r.RunID, "COMPACTION_RUN", lockstep.Item{
		"run_id": str(r.RunID), "image_id": str(r.Image), "receipt_id": num(float64(r.ID)),
		"lines_delta_prefix": str("lines/delta/" + r.RunID + "/"), "words_delta_prefix": str("words/delta/" + r.RunID + "/"),
		"lines_state": str(state), "words_state": str(state), "lines_merged_vectors": num(0), "words_merged_vectors": num(0),
		"created_at": iso(r.Added),
	})
}

func geometry(b Box, text string) lockstep.Item {
	return lockstep.Item{
		"text": str(text), "confidence": num(b.Confidence), "angle_degrees": num(0), "is_noise": {Type: lockstep.AttrBool},
		"bounding_box": {Type: lockstep.AttrM, Map: lockstep.Item{"x": num(b.X), "y": num(b.Y), "width": num(b.Width), "height": num(b.Height)}},
	}
}

func str(s string) lockstep.Attr { return lockstep.Attr{Type: lockstep.AttrS, Text: s} }

func null() lockstep.Attr { return lockstep.Attr{Type: lockstep.AttrNull} }

func orNull(s string) lockstep.Attr {
	if s == "" {
		return null()
	}
	return str(s)
}

func num(f float64) lockstep.Attr {
	return lockstep.Attr{Type: lockstep.AttrN, Text: strconv.FormatFloat(f, 'f', -1, 64)}
}

func iso(t time.Time) lockstep.Attr { return str(t.Format("2006-01-02T15:04:05")) }
