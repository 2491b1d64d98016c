package change

import (
	"fmt"
	"math/bits"
	"regexp"
	"regexp/syntax"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Classifier says what an item is by its key. It is safe for concurrent use and
// keeps nothing between calls.
type Classifier struct {
	rules []handler.EntityRule
	// Both automata are set, or neither: then the expressions decide.
	partition, sort *automaton
	exprs           []ruleExprs
}

type ruleExprs struct{ partition, sort *regexp.Regexp }

// NewClassifier compiles rules, of which the first match wins. The expressions are
// those of package regexp, each over a whole half of the key: "LABEL" does not
// match "#LABEL#", and "" matches only a missing sort key. A dot matches any
// character, line breaks too: keys are not lines. A rule with Entity "" ignores
// what it matches. The error is lockstep.ErrInvalid and names the rule.
//
// Every change is classified, so all rules are compiled into one automaton per
// half of the key, read once from left to right. Rules that would need a large one
// (or word boundaries, or that are more than 64) are tried one after the other.
func NewClassifier(rules []handler.EntityRule) (*Classifier, error) {
	c := &Classifier{rules: append([]handler.EntityRule(nil), rules...)}
	partitions := make([]string, len(rules))
	sorts := make([]string, len(rules))
	for i, r := range rules {
		p, err := anchored(r.Partition)
		if err != nil {
			return nil, fmt.Errorf("entity rule %d (%q): partition %q: %w: %w", i+1, r.Entity, r.Partition, lockstep.ErrInvalid, err)
		}
		s, err := anchored(r.Sort)
		if err != nil {
			return nil, fmt.Errorf("entity rule %d (%q): sort %q: %w: %w", i+1, r.Entity, r.Sort, lockstep.ErrInvalid, err)
		}
		c.exprs = append(c.exprs, ruleExprs{p, s})
		partitions[i], sorts[i] = r.Partition, r.Sort
	}
	if len(rules) > maxPatterns {
		return c, nil
	}
	// A sort pattern that is sure to match makes later rules of the same partition
	// pattern irrelevant; without that, "contains this or that" grows exponentially.
	p, s := newAutomaton(partitions, nil), newAutomaton(sorts, partitions)
	if p != nil && s != nil {
		c.partition, c.sort = p, s
	}
	return c, nil
}

// anchored compiles a pattern that must match from end to end. It is parsed alone
// first, so that a stray parenthesis cannot escape the anchors.
func anchored(pattern string) (*regexp.Regexp, error) {
	if _, err := syntax.Parse(pattern, patternFlags); err != nil {
		return nil, err
	}
	return regexp.Compile(`(?s)\A(?:` + pattern + `)\z`)
}

// Entity returns what the item under key is called, and false when no rule matches
// or the rule that does says to ignore it.
func (c *Classifier) Entity(key lockstep.ItemKey) (string, bool) {
	i := c.match(key)
	if i < 0 {
		return "", false
	}
	e := c.rules[i].Entity
	return e, e != ""
}

func (c *Classifier) match(key lockstep.ItemKey) int {
	if c.sort != nil {
		set := c.partition.run(key.Partition)
		if set != 0 {
			set &= c.sort.run(key.Sort)
		}
		if set == 0 {
			return -1
		}
		return bits.TrailingZeros64(set)
	}
	for i, e := range c.exprs {
		if e.partition.MatchString(key.Partition) && e.sort.MatchString(key.Sort) {
			return i
		}
	}
	return -1
}
