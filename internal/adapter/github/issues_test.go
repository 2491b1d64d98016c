package github

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
)

func TestIssuesKeepTheContract(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notifytest.Case {
		h := newHub(t)
		return notifytest.Case{
			Sender: mustNew(t, settings(h)), Recipient: "issue", Set: h.set, Recognises: true, Secrets: []string{token}, Shown: h.shown,
		}
	})
}

// TestALostCommentIsRecognised is the contract's lost answer for the second message.
func TestALostCommentIsRecognised(t *testing.T) {
	h := newHub(t)
	s := mustNew(t, settings(h))
	send(t, s, "incident prod-3 opened")
	h.set(notifytest.Cuts)
	m := notifytest.Message("incident prod-3 rolled-back")
	if _, err := s.Send(t.Context(), m); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Fatal(err)
	}
	h.set(notifytest.Works)
	r := send(t, s, "incident prod-3 rolled-back")
	if len(h.issues) != 1 || len(h.issues[0].comments) != 1 || r.Link != commentLink(h.issues[0], 0) {
		t.Errorf("%d issues, %q, %+v", len(h.issues), h.issues[0].comments, r)
	}
}

func send(t *testing.T, s notify.Sender, id string) notify.Receipt {
	t.Helper()
	r, err := s.Send(t.Context(), notifytest.Message(id))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheFirstMessageOpensAndTheNextComments(t *testing.T) {
	h := newHub(t)
	s := mustNew(t, settings(h))
	first := send(t, s, "incident prod-3 rolled-back")
	h.issues[0].state = "closed" // by a person, meanwhile
	second := send(t, s, "incident prod-3 recovered")
	if first.Link != "https://github.com/acme/receipts/issues/1" || first.Text != "issue 1" || second.Text != "comment on issue 1" {
		t.Errorf("%+v, %+v", first, second)
	}
	i := h.issues[0]
	if len(h.issues) != 1 || len(i.comments) != 1 || i.state != "closed" {
		t.Fatalf("%+v", i)
	}
	if !slices.Equal(i.labels, []string{"migration-blocker"}) || !slices.Equal(h.labels, i.labels) {
		t.Errorf("labels %v of %v", i.labels, h.labels)
	}
	if !strings.HasPrefix(i.body, "<!-- lockstep:incident prod-3 -->\n<!-- lockstep-message:incident prod-3 rolled-back -->\n\n") {
		t.Errorf("%.200s", i.body)
	}
	if strings.Contains(i.comments[0], "<!-- lockstep:") {
		t.Errorf("a comment looks like an issue: %.200s", i.comments[0])
	}
}

func TestEachTopicHasAnIssueOfItsOwn(t *testing.T) {
	h := newHub(t)
	s := mustNew(t, settings(h))
	for _, topic := range []string{"incident prod-3", "incident prod-33", "incident dev-3"} {
		m := notifytest.Message(topic + " opened")
		// What a log quotes is no marker.
		m.Topic, m.Text = topic, "log:\n"+notify.Marker("incident prod-33")+"\n"+notify.Marker("incident dev-3")
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.issues) != 3 {
		t.Errorf("%d issues", len(h.issues))
	}
}

func TestTheIssueIsFoundBehindManyOthers(t *testing.T) {
	h := newHub(t)
	s := mustNew(t, settings(h))
	send(t, s, "incident prod-3 opened")
	for n := range 3*perPage + 7 {
		other := &hubIssue{number: len(h.issues) + 1, title: "other", labels: []string{DefaultLabel}, state: "open", body: fmt.Sprintf("other %d", n)}
		// A pull request that quotes the marker is not the issue.
		if other.pull = n%2 == 0; other.pull {
			other.body = h.issues[0].body
		}
		h.issues = append(h.issues, other)
	}
	for n := range perPage + 3 {
		h.issues[0].comments = append(h.issues[0].comments, fmt.Sprintf("a person says %d", n))
		h.issues[0].commentUpdated = append(h.issues[0].commentUpdated, time.Date(2026, 5, 4, 8, 10, 0, 0, time.UTC))
	}
	first := send(t, s, "incident prod-3 rolled-back")
	again := send(t, s, "incident prod-3 rolled-back")
	if first != again || len(h.issues[0].comments) != perPage+4 || first.Text != "comment on issue 1" {
		t.Errorf("%+v, %+v, %d comments", first, again, len(h.issues[0].comments))
	}
	h.calls = nil
	send(t, s, "incident prod-3 opened")
	if len(h.calls) != 4 {
		t.Errorf("calls %q: want four pages of issues", h.calls)
	}
}

func TestTheSearchIsBounded(t *testing.T) {
	h := newHub(t)
	for n := range perPage*maxIssuePages + 10 {
		h.issues = append(h.issues, &hubIssue{number: n + 1, labels: []string{DefaultLabel}, state: "open"})
	}
	send(t, mustNew(t, settings(h)), "incident prod-3 opened")
	if lists := len(h.calls) - 3; lists != maxIssuePages {
		t.Errorf("%d pages were read, at most %d", lists, maxIssuePages)
	}
}

func TestLabelsAreMadeOnceAndALostRaceIsFine(t *testing.T) {
	h := newHub(t)
	set := settings(h)
	set.Labels = []string{"migration-blocker", "incident/prod", "team: data"}
	s := mustNew(t, set)
	hidden := true
	h.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/labels/") && hidden {
			hidden = false
			h.mu.Lock()
			h.labels = append(h.labels, "migration-blocker") // another makes it now
			h.mu.Unlock()
			fail(w, http.StatusNotFound, "Not Found")
			return true
		}
		return false
	}
	send(t, s, "incident prod-3 opened")
	if diff := cmp.Diff(set.Labels, h.labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(set.Labels, h.issues[0].labels); diff != "" {
		t.Error(diff)
	}
}

func TestALabelThatMayNotBeSetIsSaid(t *testing.T) {
	h := newHub(t)
	h.mayLabel = false
	if r := send(t, mustNew(t, settings(h)), "incident prod-3 opened"); !strings.Contains(r.Text, "without the label migration-blocker") || r.Link == "" {
		t.Errorf("%+v", r)
	}
}

func TestARepositoryThatIsNotThereIsFinal(t *testing.T) {
	h := newHub(t)
	set := settings(h)
	set.Repository = "acme/other"
	_, err := mustNew(t, set).Send(t.Context(), notifytest.Message("a"))
	if !errors.Is(err, lockstep.ErrNotFound) || !notify.Permanent(err) || lockstep.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestALimitedRateSaysUntilWhen(t *testing.T) {
	date := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		status  int
		header  map[string]string
		message string
		wait    time.Duration // 0: it is no limit
	}{
		{"retry-after", 403, map[string]string{"Retry-After": "75"}, "slow down", 75 * time.Second},
		{"429 with retry-after", 429, map[string]string{"Retry-After": "7"}, "", 7 * time.Second},
		{"primary", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(date.Add(20 * time.Minute).Unix()), "Date": date.Format(http.TimeFormat)}, "API rate limit exceeded", 20 * time.Minute},
		{"secondary without a time", 403, nil, "You have exceeded a secondary rate limit.", time.Minute},
		{"429 without a time", 429, nil, "", time.Minute},
		{"no rights", 403, map[string]string{"X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": fmt.Sprint(date.Unix())}, "Resource not accessible by personal access token", 0},
	} {
		h := newHub(t)
		h.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			fail(w, c.status, c.message)
			return true
		}
		_, err := mustNew(t, settings(h)).Send(t.Context(), notifytest.Message("a"))
		w, ok := notify.WaitOf(err)
		if ok != (c.wait > 0) || ok && !w.After(date).Equal(date.Add(c.wait)) || errors.Is(err, lockstep.ErrUnavailable) != ok || err == nil {
			t.Errorf("%s: %v, wait %+v", c.name, err, w)
		}
	}
}

func TestAnswersThatAreNotGitHubsAreWorthAnotherTry(t *testing.T) {
	for name, body := range map[string]string{"a login page": "<html>", "the wrong shape": `{"a":1}`, "empty": ""} {
		h := newHub(t)
		h.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(body))
			return true
		}
		if _, err := mustNew(t, settings(h)).Send(t.Context(), notifytest.Message("a")); !errors.Is(err, lockstep.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheTokenLeavesForNoOtherHost(t *testing.T) {
	var stolen atomic.Int32
	thief := newHub(t)
	thief.answer = func(http.ResponseWriter, *http.Request) bool { stolen.Add(1); return false }
	h := newHub(t)
	h.answer = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	}
	if _, err := mustNew(t, settings(h)).Send(t.Context(), notifytest.Message("a")); err == nil || stolen.Load() != 0 {
		t.Errorf("%v, %d calls", err, stolen.Load())
	}
}

func TestARenamedRepositoryIsFollowed(t *testing.T) {
	h := newHub(t)
	set := settings(h)
	set.Repository = "acme/old-name"
	h.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if rest, old := strings.CutPrefix(r.URL.Path, "/repos/acme/old-name"); old {
			to := *r.URL
			to.Path, to.RawPath = "/repos/"+repo+rest, ""
			http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	send(t, mustNew(t, set), "incident prod-3 opened")
	if len(h.issues) != 1 {
		t.Errorf("%d issues", len(h.issues))
	}
}

func TestABodyFitsWhateverTheMessageHolds(t *testing.T) {
	m := notifytest.Message("incident prod-3 opened")
	m.Markdown = strings.Repeat("é", notify.MaxMarkdown/2)
	for n := range notify.MaxFields - 1 {
		m.Fields = append(m.Fields, notify.Field{Name: fmt.Sprint("Field ", n), Value: strings.Repeat("v", 1000)})
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	b := body(m, notify.Marker(m.Thread()), notify.MessageMarker(m.ID))
	if len(b) > maxBody || !strings.HasSuffix(b, "[the rest is cut]\n") || !notify.HasLine(b, notify.MessageMarker(m.ID)) {
		t.Errorf("%d bytes: ...%s", len(b), b[len(b)-100:])
	}
}
