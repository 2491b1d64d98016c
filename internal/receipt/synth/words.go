package synth

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Invented names: none is that of a business.
var (
	merchantFirst  = []string{"Quillfern", "Marrowby", "Oddlake", "Tansy & Vole", "Brindlecote", "Hushmere", "Copperwick", "Larkendale"}
	merchantSecond = []string{"Provisions", "Hardware", "Bakehouse", "Grocers", "Pharmacy", "Teahouse"}
	categories     = []string{"grocery", "hardware", "bakery", "pharmacy", "cafe"}
	streets        = []string{"Fennel Row", "Old Tannery Lane", "Pebble Court", "Heron Street"}
	vocabulary     = []string{
		"APPLES", "OATS", "TOTAL", "SUBTOTAL", "TAX", "BREAD", "SOAP", "NAILS", "THANK", "YOU", "CASH", "CARD", "CHANGE",
		"TEA", "LEMON", "2x", "kg", "EACH", "ITEM", "DATE", "TIME", "TILL", "No.", "PLEASE", "COME", "AGAIN",
	}
	labelNames = []string{"DATE", "GRAND_TOTAL", "LINE_TOTAL", "MERCHANT_NAME", "PRODUCT_NAME", "QUANTITY", "SUBTOTAL", "TAX", "TIME", "UNIT_PRICE"}
	statuses   = []string{"VALID", "VALID", "PENDING", "INVALID", "NEEDS_REVIEW", "NONE"}
	proposers  = []string{"", "model-a", "model-b"}
)

func merchant(rng *rand.Rand) Merchant {
	return Merchant{
		Name:     merchantFirst[rng.IntN(len(merchantFirst))] + " " + merchantSecond[rng.IntN(len(merchantSecond))],
		Category: categories[rng.IntN(len(categories))],
		Address:  fmt.Sprintf("%d %s", 1+rng.IntN(200), streets[rng.IntN(len(streets))]),
		Phone:    fmt.Sprintf("555-01%02d", rng.IntN(100)),
		PlaceID:  fmt.Sprintf("place-%08x", rng.Uint32()),
	}
}

func label(rng *rand.Rand, name string, start time.Time) Label {
	return Label{
		Name:       name,
		Status:     statuses[rng.IntN(len(statuses))],
		ProposedBy: proposers[rng.IntN(len(proposers))],
		Reasoning:  "looks like " + name,
		Added:      start.Add(time.Duration(rng.IntN(1e6)) * time.Second),
	}
}
