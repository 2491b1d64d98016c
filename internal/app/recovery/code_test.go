package recovery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/adapter/deploy"
	"lockstep/internal/adapter/git"
)

func TestTheGoodDeploymentIsLookedForByTheSurestFirst(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2024, 12, n, 9, 0, 0, 0, time.UTC) }
	point := gitPoint{git.Point{Commit: git.Commit{ID: "52cfc2d"}, Migration: []git.Commit{{At: day(17)}, {At: day(15)}, {At: day(16)}}}, true}
	alone := gitPoint{git.Point{Commit: git.Commit{ID: "52cfc2d"}}, true}
	for _, c := range []struct {
		name  string
		known string
		began time.Time
		point gitPoint
		want  []deploy.Want
	}{
		{"the version that is configured", "41", day(18), point, []deploy.Want{{}}},
		{"what ran before the release", "", day(18), point, []deploy.Want{{Before: day(18)}}},
		{"the commit of the point, or what ran before the first of the migration's", "", time.Time{}, point, []deploy.Want{{Commit: "52cfc2d"}, {Before: day(15)}}},
		{"the commit of the point alone", "", time.Time{}, alone, []deploy.Want{{Commit: "52cfc2d"}}},
		{"nothing is known", "", time.Time{}, gitPoint{}, []deploy.Want{{}}},
	} {
		if d := cmp.Diff(c.want, wants(c.known, c.began, c.point)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
