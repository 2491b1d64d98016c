package change

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"

	"pgregory.net/rapid"
)

const images = `IMAGE#.*`

// legacyRules and laterRules are the two tables of DOMAIN 2.2.
var (
	legacyRules = []handler.EntityRule{
		{Entity: "RECEIPT_METADATA", Partition: images, Sort: `.*#METADATA.*`},
		{Entity: "RECEIPT_WORD_LABEL", Partition: images, Sort: `.*#LABEL#.*`},
		{Entity: "COMPACTION_RUN", Partition: images, Sort: `.*#COMPACTION_RUN#.*`},
	}
	laterRules = []handler.EntityRule{
		{Entity: "RECEIPT_PLACE", Partition: images, Sort: `.*#PLACE.*`},
		{Entity: "RECEIPT_WORD_LABEL", Partition: images, Sort: `.*#LABEL#.*`},
		{Entity: "RECEIPT_SECTION", Partition: images, Sort: `.*#SECTION#.*`},
		{Entity: "RECEIPT_SUMMARY", Partition: images, Sort: `.*#SUMMARY`},
		{Entity: "COMPACTION_RUN", Partition: images, Sort: `.*#COMPACTION_RUN#.*`},
		{Entity: "", Partition: images, Sort: `.*#LETTER#.*`},
		{Entity: "RECEIPT_WORD", Partition: images, Sort: `.*(#WORD#.*#LINE#|#LINE#.*#WORD#).*`},
		{Entity: "RECEIPT_LINE", Partition: images, Sort: `.*#LINE#.*`},
		{Entity: "RECEIPT", Partition: images, Sort: `RECEIPT#[^#]*`},
	}
)

func classifier(t testing.TB, rules []handler.EntityRule) *Classifier {
	t.Helper()
	c, err := NewClassifier(rules)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheTablesOfTheDomainAreClassified(t *testing.T) {
	legacy, later := classifier(t, legacyRules), classifier(t, laterRules)
	for _, c := range []struct{ partition, sort, legacy, later string }{
		{"IMAGE#1", "RECEIPT#00001", "", "RECEIPT"},
		{"IMAGE#1", "RECEIPT#00001#METADATA", "RECEIPT_METADATA", ""},
		{"IMAGE#1", "RECEIPT#00001#PLACE", "", "RECEIPT_PLACE"},
		{"IMAGE#1", "RECEIPT#00001#LINE#00002", "", "RECEIPT_LINE"},
		{"IMAGE#1", "RECEIPT#00001#LINE#00002#WORD#00003", "", "RECEIPT_WORD"},
		{"IMAGE#1", "RECEIPT#00001#LINE#00002#WORD#00003#LETTER#00004", "", ""},
		{"IMAGE#1", "RECEIPT#00001#LINE#00002#WORD#00003#LABEL#TOTAL", "RECEIPT_WORD_LABEL", "RECEIPT_WORD_LABEL"},
		{"IMAGE#1", "RECEIPT#00001#LINE#00002#WORD#00003#LABEL#é\nx", "RECEIPT_WORD_LABEL", "RECEIPT_WORD_LABEL"},
		{"IMAGE#1", "RECEIPT#00001#COMPACTION_RUN#x", "COMPACTION_RUN", "COMPACTION_RUN"},
		{"IMAGE#1", "RECEIPT#00001#SECTION#SUMMARY", "", "RECEIPT_SECTION"},
		{"IMAGE#1", "RECEIPT#00001#SUMMARY", "", "RECEIPT_SUMMARY"},
		{"IMAGE#1", "RECEIPT#00001#SUMMARYX", "", ""},
		{"IMAGE#1", "RECEIPT#00001#PLACE#LABEL#METADATA", "RECEIPT_METADATA", "RECEIPT_PLACE"},
		{"IMAGE#1", "", "", ""},
		{"LOCK#words#x", "LOCK", "", ""},
		{"LOCK#IMAGE#1", "RECEIPT#00001", "", ""},
		{"", "", "", ""},
	} {
		key := lockstep.ItemKey{Partition: c.partition, Sort: c.sort}
		if got, ok := legacy.Entity(key); got != c.legacy || ok != (got != "") {
			t.Errorf("legacy: %s is %q, %v", c.sort, got, ok)
		}
		if got, ok := later.Entity(key); got != c.later || ok != (got != "") {
			t.Errorf("later: %s is %q, %v", c.sort, got, ok)
		}
	}
	if legacy.sort == nil || later.sort == nil {
		t.Error("the tables of the domain need more than an automaton may have")
	}
	t.Logf("states: %d and %d", len(legacy.sort.accept), len(later.sort.accept))
}

func TestTheAutomatonAgreesWithTheExpressions(t *testing.T) {
	patterns := []string{
		``, `a`, `a*`, `.`, `.*`, `.+`, `.*a.*`, `.*ab`, `a.*`, `(a|b)+c?`, `[^a]*`, `^a$`, `a$|b`, `$^`, `$a`, `(?i)aK*`, `\d{2,3}`,
		`[à-ö]+`, `\pL*`, `(?-s:.*)`, `a|ab|abc`, `(|a)b`, `x{0}`, `[[:^ascii:]]`, `.*(a.*b|b.*a).*`, `\Aa\z`, `(a*)*`,
	}
	rapid.Check(t, func(t *rapid.T) {
		var rules []handler.EntityRule
		for range rapid.IntRange(1, 6).Draw(t, "rules") {
			rules = append(rules, handler.EntityRule{
				Entity:    "x",
				Partition: rapid.SampledFrom(patterns[:8]).Draw(t, "partition"),
				Sort:      rapid.SampledFrom(patterns).Draw(t, "sort"),
			})
		}
		c, err := NewClassifier(rules)
		if err != nil {
			t.Fatal(err)
		}
		text := rapid.StringOf(rapid.SampledFrom([]rune("aabbckKK1\né\uFFFDz")))
		key := lockstep.ItemKey{Partition: text.Draw(t, "pk"), Sort: text.Draw(t, "sk")}
		want := -1
		for i, r := range rules {
			if regexp.MustCompile(`(?s)^(?:`+r.Partition+`)$`).MatchString(key.Partition) &&
				regexp.MustCompile(`(?s)^(?:`+r.Sort+`)$`).MatchString(key.Sort) {
				want = i
				break
			}
		}
		if got := c.match(key); got != want {
			t.Fatalf("rule %d, want %d (automaton: %v)", got, want, c.sort != nil)
		}
	})
}

func TestRulesBeyondAnAutomatonStillWork(t *testing.T) {
	many := make([]handler.EntityRule, 70)
	for i := range many {
		many[i] = handler.EntityRule{Entity: strings.Repeat("x", i+1), Partition: `p`, Sort: strings.Repeat("s", i+1)}
	}
	for name, c := range map[string]struct {
		rules []handler.EntityRule
		key   lockstep.ItemKey
		want  string
	}{
		"many":          {many, lockstep.ItemKey{Partition: "p", Sort: "sss"}, "xxx"},
		"a word border": {[]handler.EntityRule{{Entity: "e", Partition: `p`, Sort: `.*\bx\b.*`}}, lockstep.ItemKey{Partition: "p", Sort: "a x b"}, "e"},
		"an explosion":  {[]handler.EntityRule{{Entity: "e", Partition: `p`, Sort: `.*a.{14}`}}, lockstep.ItemKey{Partition: "p", Sort: "xa" + strings.Repeat("y", 14)}, "e"},
	} {
		k := classifier(t, c.rules)
		if k.sort != nil {
			t.Errorf("%s: an automaton after all", name)
		}
		if got, ok := k.Entity(c.key); !ok || got != c.want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

func TestABadRuleIsNamed(t *testing.T) {
	for _, r := range []handler.EntityRule{{Entity: "BAD", Partition: `(`}, {Entity: "BAD", Sort: `a)|(b`}} {
		_, err := NewClassifier([]handler.EntityRule{{Entity: "GOOD"}, r})
		if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), `entity rule 2 ("BAD")`) {
			t.Errorf("got %v", err)
		}
	}
}
