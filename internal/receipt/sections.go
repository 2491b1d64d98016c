package receipt

import (
	"encoding/json"
	"strconv"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// sectionMap says to which section each line of one receipt belongs.
type sectionMap map[int]claim

// claim is one section's hold on a line. A drawn claim holds nothing and is beaten
// only by a better one.
type claim struct {
	section    string
	rank       int // of the validation status
	confidence float64
	drawn      bool
}

// sectionsOf reads the section items of a receipt (DOMAIN 4.8): INVALID ones do not
// count, VALID beats PENDING beats all others, then confidence decides; equal
// claims of different sections cancel each other.
func sectionsOf(v *handler.View, partition, receipt string) sectionMap {
	m := sectionMap{}
	for _, it := range v.ItemsWithPrefix(partition, receipt+"#SECTION#") {
		if it.Image == nil {
			continue
		}
		c := claim{section: strings.ToUpper(strings.TrimPrefix(it.Key.Sort, receipt+"#SECTION#")), confidence: -1}
		switch it.Image.Str("validation_status") {
		case statusInvalid:
			continue
		case statusValid:
			c.rank = 2
		case statusPending:
			c.rank = 1
		}
		if n, ok := number(it.Image["confidence"]); ok {
			c.confidence = n
		}
		for _, a := range it.Image["line_ids"].List {
			if n, ok := number(a); ok {
				m.claim(int(n), c)
			}
		}
	}
	return m
}

func (m sectionMap) claim(line int, c claim) {
	held, ok := m[line]
	switch {
	case !ok || c.beats(held):
		m[line] = c
	case !held.beats(c) && held.section != c.section:
		held.drawn = true
		m[line] = held
	}
}

func (c claim) beats(d claim) bool {
	if c.rank != d.rank {
		return c.rank > d.rank
	}
	return c.confidence > d.confidence
}

// number reads an N attribute. The decimal text was checked when it was decoded.
func number(a lockstep.Attr) (float64, bool) {
	if a.Type != lockstep.AttrN {
		return 0, false
	}
	n, err := strconv.ParseFloat(a.Text, 64)
	return n, err == nil
}

// maxRowLines bounds how many lines of a row are read from its metadata.
const maxRowLines = 1000

// labelOf returns the section of one record of lines, "" for none. A record that
// stands for a row of several lines, as row_line_ids says, has the section that
// most of them have; an equal count is none.
func (m sectionMap) labelOf(meta lockstep.Metadata, k sortKey) string {
	if v, ok := meta.Get(keyRowLines); ok {
		var lines []int
		if err := json.Unmarshal([]byte(v.Str()), &lines); err == nil && 0 < len(lines) && len(lines) <= maxRowLines {
			return m.plurality(lines)
		}
	}
	line, err := strconv.Atoi(k.line[strings.LastIndexByte(k.line, '#')+1:])
	if err != nil { // a number too large to be in line_ids
		return ""
	}
	return m.plurality([]int{line})
}

func (m sectionMap) plurality(lines []int) string {
	votes := map[string]int{}
	for _, line := range lines {
		if c, ok := m[line]; ok && !c.drawn {
			votes[c.section]++
		}
	}
	best, most, drawn := "", 0, false
	for section, n := range votes {
		switch {
		case n > most:
			best, most, drawn = section, n, false
		case n == most:
			drawn = true
		}
	}
	if drawn {
		return ""
	}
	return best
}
