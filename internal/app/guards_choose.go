package app

import (
	"strings"

	"lockstep/internal/guard"
	"lockstep/internal/release"
)

// choose returns the guards whose question can have an answer here, and of the others why
// not. It goes by circumstances and never by samples: a guard that drops out because its
// data are missing would read silence as good news.
func (g *guards) choose(s *situation) (asked []guard.Guard, not map[string]string) {
	not = map[string]string{}
	needs := g.needs(s)
	selected := guard.Select(g.set.Guards, needs...)
	for _, one := range g.set.Guards {
		if _, err := guard.Find(selected, one.Name); err != nil {
			not[one.Name] = strings.TrimSuffix(one.Needs.Sentence(), ".")
			continue
		}
		why := ""
		if one.Source == guard.LedgerSource {
			why = g.cannot(one.Question, s)
			if why == "" && one.Against != "" {
				why = g.cannot(one.Against, s)
			}
		}
		if why != "" {
			not[one.Name] = why
			continue
		}
		asked = append(asked, one)
	}
	return asked, not
}

// needs are the circumstances that hold.
func (g *guards) needs(s *situation) []guard.Need {
	var needs []guard.Need
	if s.live() != nil {
		needs = append(needs, guard.NeedRelease)
		if s.judgement != nil {
			needs = append(needs, guard.NeedAnalysis)
		}
	}
	if s.late != nil {
		needs = append(needs, guard.NeedPromoted)
	}
	if g.tests != nil || g.testing {
		needs = append(needs, guard.NeedTests)
	}
	return needs
}

// cannot says why a metric of the ledger can have no sample in these circumstances, ""
// when it can.
func (g *guards) cannot(metric string, s *situation) string {
	switch {
	case strings.HasPrefix(metric, "rederivation_"):
		return g.cannotRederive(s)
	case s.head.Number() == 0 && (metric == "digest_mismatches" || metric == "records_shrunk_share"):
		return "there is no version yet"
	case metric == "digest_mismatches" && g.state == nil:
		return "there is no local state here to compute it from"
	case metric == "forbidden_keys_lost" && len(g.keep) == 0:
		return "no key is configured under guards.keep_keys"
	case strings.HasPrefix(metric, "publish_seconds") || strings.HasPrefix(metric, "memory_bytes"):
		if g.vitals == nil {
			return "only the process that commits can measure it"
		}
		if s.live() != nil && !g.vitals.baseline() {
			return "this process did not measure it while stable decided alone"
		}
	case strings.HasPrefix(metric, "imports") || strings.HasPrefix(metric, "import_runs"):
		if !builtin(s.stable.Handler) {
			return "stable is a program, which is not asked for every item what it imports"
		}
	case strings.HasPrefix(metric, "stable_"):
		if r := s.live(); r != nil && r.Weight == release.All && g.tally.arms[armStable].units == 0 {
			return "the candidate had all of the keys from the start: there is nothing to compare with"
		}
	case strings.HasPrefix(metric, "Compaction"), strings.HasPrefix(metric, "StreamProcessor"):
		if g.vitals == nil {
			return "only the process that commits counts it"
		}
	}
	return ""
}

func (g *guards) cannotRederive(s *situation) string {
	switch {
	case g.state == nil:
		return "there is no local state here to look at"
	case !convergent(s.stable.Handler):
		return s.stable.Label() + " does not promise that records follow from the table alone"
	case s.candidate.Handler == nil:
		return "the candidate cannot run here"
	}
	from, to := s.stable.Handler.Describe(), s.candidate.Handler.Describe()
	if from.WritesFormat != to.WritesFormat {
		return "the candidate declares that it writes " + to.WritesFormat + ", and stable " + from.WritesFormat
	}
	return ""
}
