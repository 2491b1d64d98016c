package receipt

import (
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// placePatch says what the place keys of every record of a receipt shall be: from
// the PLACE item if there is one, else from the METADATA item, else absent. The
// two entities are one thing in two generations of the table (DOMAIN 1.1, 1.2).
func placePatch(v *handler.View, partition, receipt string) patch {
	var canonical, address string
	it, ok := v.Item(lockstep.ItemKey{Partition: partition, Sort: receipt + "#PLACE"})
	if ok && it.Image != nil {
		address = it.Image.Str("formatted_address")
	} else {
		it, _ = v.Item(lockstep.ItemKey{Partition: partition, Sort: receipt + "#METADATA"})
		canonical, address = it.Image.Str(keyCanonical), it.Image.Str(keyAddress)
	}
	return patch{fields: []lockstep.Field{
		{Key: keyAddress, Value: text(address)},
		{Key: keyCanonical, Value: text(canonical)},
		{Key: clockMetadata},
		{Key: clockPlace},
		{Key: keyCategory, Value: text(it.Image.Str(keyCategory))},
		{Key: keyMerchant, Value: text(it.Image.Str(keyMerchant))},
		{Key: clockMetadataRemoved},
		{Key: keyPhone, Value: text(it.Image.Str(keyPhone))},
		{Key: keyPlaceID, Value: text(it.Image.Str(keyPlaceID))},
		{Key: clockPlaceRemoved},
	}}
}
