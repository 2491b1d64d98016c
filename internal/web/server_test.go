package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/web"
)

// served is a server that runs, with its surface.
type served struct {
	*app.Server
	url    string
	config config.Config
}

// serve runs a real server on a directory of its own until the test ends.
func serve(t *testing.T, opts web.Options) served {
	t.Helper()
	cfg := config.Default().WithData(filepath.Join(t.TempDir(), "data"))
	cfg.Imports.Directory = "../cli/testdata/receipt/imports"
	cfg.Follower.Chroma.Enabled = "off"
	a, err := app.Open(t.Context(), cfg, app.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := app.NewServer(a)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	opts.Now = time.Now
	h := httptest.NewServer(web.Handler(s, opts))
	t.Cleanup(func() {
		h.Close()
		stop()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	})
	return served{s, h.URL, cfg}
}

// call sends a request and returns the status and the body of the answer.
func call(t *testing.T, method, url string, body io.Reader, header ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b
}

func (s served) post(t *testing.T, query, body string) app.Ingested {
	t.Helper()
	code, b := call(t, http.MethodPost, s.url+"/v1/changes"+query, strings.NewReader(body))
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, b)
	}
	var sum app.Ingested
	if err := json.Unmarshal(b, &sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

func (s served) status(t *testing.T) app.Status {
	t.Helper()
	code, b := call(t, http.MethodGet, s.url+"/v1/status", nil)
	var st app.Status
	if err := json.Unmarshal(b, &st); err != nil || code != http.StatusOK {
		t.Fatalf("status %d: %s: %v", code, b, err)
	}
	return st
}

// record is one stream record of receipt n.
func record(n, seq int) string {
	keys := fmt.Sprintf(`{"PK":{"S":"IMAGE#%d"},"SK":{"S":"RECEIPT#00001"}}`, n)
	return fmt.Sprintf(`{"eventID":"e-%d-%d","eventName":"MODIFY","dynamodb":{"Keys":%s,"NewImage":{"width":{"N":"%d"}},"SequenceNumber":"%d"}}`, n, seq, keys, seq, seq)
}

// held returns the ids of the mirrored items as somebody sees them who opens the
// store beside the server.
func (s served) held(t *testing.T) (version uint64, ids map[string]bool) {
	t.Helper()
	a, err := app.OpenReader(t.Context(), s.config, app.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	view, err := a.State.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	ids = map[string]bool{}
	if err := view.Scan(t.Context(), lockstep.Table, "", func(row state.Row) error {
		ids[string(row.ID)] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return view.Version(), ids
}

func TestEveryShapeIsInAVersionWhenItIsAnswered(t *testing.T) {
	s := serve(t, web.Options{})
	for i, c := range []struct {
		name, body string
		records    int
	}{
		{"a Lambda event", `{"Records":[` + record(0, 1) + `,` + record(100, 1) + `]}`, 2},
		{"one record", record(1, 1), 1},
		{"an array", "[" + record(2, 1) + "," + record(102, 1) + "]", 2},
		{"the answer of GetRecords", `{"NextShardIterator":"it","Records":[` + record(3, 1) + `]}`, 1},
		{"lines", record(4, 1) + "\n\n" + `{"Records":[` + record(104, 1) + `]}` + "\n" + record(204, 1), 3},
		{"an indented document", "{\n \"Records\": [\n" + record(5, 1) + "\n]}\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			sum := s.post(t, "", c.body)
			if sum.Records != c.records || sum.Outcomes[lockstep.Unchanged] != c.records {
				t.Errorf("%+v, want %d records", sum, c.records)
			}
			// Whoever looks after the answer sees it, without the server's help.
			version, ids := s.held(t)
			if version < sum.Version || !ids[fmt.Sprintf("IMAGE#%d|RECEIPT#00001", i)] {
				t.Errorf("version %d holds %v after an answer that said version %d", version, ids, sum.Version)
			}
			again := s.post(t, "", c.body)
			if again.Outcomes[lockstep.Duplicate] != c.records || again.Version > sum.Version {
				t.Errorf("the second time: %+v", again)
			}
		})
	}
}

func TestAnEmptyBodyIsNoMistake(t *testing.T) {
	s := serve(t, web.Options{})
	if sum := s.post(t, "", ""); sum.Records != 0 || len(sum.Outcomes) != 0 {
		t.Errorf("%+v", sum)
	}
}

func TestDetailTellsTheOutcomeOfEachRecordInOrder(t *testing.T) {
	s := serve(t, web.Options{})
	s.post(t, "", record(1, 5))
	sum := s.post(t, "?detail=1", strings.Join([]string{
		record(1, 6), record(1, 6), "nonsense", record(1, 2), strings.ReplaceAll(record(1, 7), "RECEIPT#", "SCHEDULE#"), record(2, 1),
	}, "\n"))
	var got []lockstep.Outcome
	for _, r := range sum.Results {
		got = append(got, r.Outcome)
	}
	want := []lockstep.Outcome{lockstep.Unchanged, lockstep.Duplicate, lockstep.BadInput, lockstep.Stale, lockstep.Ignored, lockstep.Unchanged}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if sum.Results[2].Reason == "" {
		t.Error("what could not be read has no reason")
	}
	if sum = s.post(t, "", record(2, 2)); sum.Results != nil {
		t.Errorf("results that nobody asked for: %v", sum.Results)
	}
}

func TestWhatCannotBeReadIsKeptWithItsReasonAndSource(t *testing.T) {
	s := serve(t, web.Options{})
	sum := s.post(t, "?source=shard-7", record(1, 1)+"\n{\"eventName\": 7}\n"+record(2, 1))
	if sum.Outcomes[lockstep.Unchanged] != 2 || sum.Outcomes[lockstep.BadInput] != 1 || len(sum.Reasons) != 1 {
		t.Errorf("%+v", sum)
	}
	s.post(t, "?source="+strings.Repeat("x", 300), "{\"eventName\": 8}\n")
	st := s.status(t)
	sources := map[string]bool{}
	for _, m := range st.Malformed {
		sources[m.Source] = m.Reason != ""
	}
	if diff := cmp.Diff(map[string]bool{"shard-7": true, "http": true}, sources); diff != "" || st.BadCount != 2 {
		t.Errorf("%d set aside: %s", st.BadCount, diff)
	}
}

func TestManySendersShareVersions(t *testing.T) {
	s := serve(t, web.Options{})
	const senders = 24
	var wg sync.WaitGroup
	sums := make([]app.Ingested, senders)
	for i := range senders {
		wg.Go(func() {
			sums[i] = s.post(t, "", record(i, 1)+"\n"+record(i, 2))
		})
	}
	wg.Wait()
	version, ids := s.held(t)
	for i, sum := range sums {
		if sum.Records != 2 || sum.Version > version || !ids[fmt.Sprintf("IMAGE#%d|RECEIPT#00001", i)] {
			t.Errorf("sender %d: %+v", i, sum)
		}
	}
	if version > senders {
		t.Errorf("%d versions for %d requests", version, senders)
	}
}

func TestWhatIsNotOfferedIsRefused(t *testing.T) {
	s := serve(t, web.Options{})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/v1/changes", http.StatusMethodNotAllowed},
		{http.MethodPut, "/v1/changes", http.StatusMethodNotAllowed},
		{http.MethodPost, "/v1/status", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/metrics", http.StatusMethodNotAllowed},
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/v1/status/more", http.StatusNotFound},
		{http.MethodPost, "/v2/changes", http.StatusNotFound},
	} {
		if got, b := call(t, c.method, s.url+c.path, nil); got != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, got, c.want, b)
		}
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	s := serve(t, web.Options{})
	first := record(1, 1) + "\n"
	body := io.MultiReader(strings.NewReader(first), io.LimitReader(blanks{}, web.MaxBodyBytes))
	code, b := call(t, http.MethodPost, s.url+"/v1/changes", body)
	if code != http.StatusRequestEntityTooLarge || !bytes.Contains(b, []byte(`"error"`)) {
		t.Errorf("status %d: %s", code, b)
	}
	exact := io.MultiReader(strings.NewReader(first), io.LimitReader(blanks{}, web.MaxBodyBytes-int64(len(first))))
	if code, b := call(t, http.MethodPost, s.url+"/v1/changes", exact); code != http.StatusOK {
		t.Errorf("a body of exactly the limit: status %d: %s", code, b)
	}
}

// blanks reads as empty lines without end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}

func TestATokenIsWantedForAllButHealth(t *testing.T) {
	s := serve(t, web.Options{Token: "correct horse"})
	for _, c := range []struct {
		name, path string
		header     []string
		want       int
	}{
		{"none", "/v1/status", nil, http.StatusUnauthorized},
		{"the right one", "/v1/status", []string{"Authorization", "Bearer correct horse"}, http.StatusOK},
		{"another", "/v1/status", []string{"Authorization", "Bearer battery staple"}, http.StatusUnauthorized},
		{"a part of it", "/v1/status", []string{"Authorization", "Bearer correct"}, http.StatusUnauthorized},
		{"more than it", "/v1/status", []string{"Authorization", "Bearer correct horses"}, http.StatusUnauthorized},
		{"another scheme", "/v1/status", []string{"Authorization", "Basic correct horse"}, http.StatusUnauthorized},
		{"an empty one", "/v1/status", []string{"Authorization", "Bearer "}, http.StatusUnauthorized},
		{"metrics without", "/metrics", nil, http.StatusUnauthorized},
		{"metrics with", "/metrics", []string{"Authorization", "Bearer correct horse"}, http.StatusOK},
		{"a path that is not there, without", "/v1/secret", nil, http.StatusUnauthorized},
		{"health without", "/healthz", nil, http.StatusOK},
	} {
		if got, b := call(t, http.MethodGet, s.url+c.path, nil, c.header...); got != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, got, c.want, b)
		}
	}
	code, _ := call(t, http.MethodPost, s.url+"/v1/changes", strings.NewReader(record(1, 1)))
	if version, _ := s.held(t); code != http.StatusUnauthorized || version != 0 {
		t.Errorf("changes without a token: status %d, version %d", code, version)
	}
}

func TestHealthSaysWhetherTheStoreAnswers(t *testing.T) {
	s := serve(t, web.Options{})
	s.post(t, "", record(1, 1))
	if code, b := call(t, http.MethodGet, s.url+"/healthz", nil); code != http.StatusOK || string(b) != "{\"status\":\"ok\"}\n" {
		t.Errorf("status %d: %s", code, b)
	}
	// Whatever is wrong, a prober hears one thing.
	for _, err := range []error{lockstep.ErrNotFound, lockstep.ErrCorrupt, lockstep.ErrUnavailable} {
		w := httptest.NewRecorder()
		h := web.Handler(ailing{s.Server, err}, web.Options{Now: time.Now})
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), err.Error()) {
			t.Errorf("%v: status %d: %s", err, w.Code, w.Body)
		}
	}
}

// ailing is a server that cannot say where it stands.
type ailing struct {
	*app.Server
	err error
}

func (a ailing) Status(context.Context) (app.Status, error) { return app.Status{}, a.err }

func TestEachClassOfErrorHasItsStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{lockstep.ErrInvalid, http.StatusBadRequest},
		{lockstep.ErrNotFound, http.StatusNotFound},
		{lockstep.ErrConflict, http.StatusConflict},
		{lockstep.ErrRefused, http.StatusForbidden},
		{lockstep.ErrUnavailable, http.StatusServiceUnavailable},
		{lockstep.ErrCorrupt, http.StatusInternalServerError},
		{&http.MaxBytesError{Limit: 1}, http.StatusRequestEntityTooLarge},
		{errors.New("something else"), http.StatusInternalServerError},
	} {
		if got := web.StatusOf(fmt.Errorf("wrapped: %w", c.err)); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
