package meter

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/guard"
	"lockstep/internal/guard/guardtest"
	"lockstep/internal/lockstep"
)

// serve starts a server and returns how to reach it.
func serve(t *testing.T, h http.HandlerFunc) Remote {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return Remote{URL: s.URL, Header: map[string]string{"Authorization": "Bearer " + guardtest.Secret}, MaxBytes: 1 << 16}
}

// ill answers as the ill worlds do and says whether it has.
func ill(w http.ResponseWriter, r *http.Request, world guardtest.World) bool {
	said := "you sent " + r.Header.Get("Authorization")
	switch world {
	case guardtest.Fails:
		http.Error(w, said, http.StatusBadGateway)
	case guardtest.Unknown:
		http.Error(w, said, http.StatusNotFound)
	case guardtest.Garbage:
		fmt.Fprint(w, "<html>"+said)
	case guardtest.Huge:
		for err := error(nil); err == nil; { // until the meter hangs up
			_, err = fmt.Fprint(w, strings.Repeat("1", 1024))
		}
	case guardtest.Hangs:
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	case guardtest.Answers, guardtest.Silent, guardtest.NoGood:
		return false
	}
	return true
}

func prometheusOn(t *testing.T, r Remote) *Prometheus {
	t.Helper()
	p, err := NewPrometheus(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrometheusKeepsTheContract(t *testing.T) {
	guardtest.Run(t, guardtest.Fixture{Open: func(t *testing.T, world guardtest.World) (guard.Meter, string) {
		remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+guardtest.Secret || r.FormValue("query") != "up" {
				t.Errorf("asked %s with %q", r.URL, r.Header.Get("Authorization"))
			}
			if ill(w, r, world) {
				return
			}
			value := map[guardtest.World]string{guardtest.Answers: strconv.FormatFloat(guardtest.Value, 'g', -1, 64), guardtest.NoGood: "NaN"}[world]
			fmt.Fprint(w, rangeAnswer(t, r, value))
		})
		if world == guardtest.Hangs {
			remote.Timeout = guardtest.Patience
		}
		return prometheusOn(t, remote), "up"
	}})
}

// rangeAnswer is what a server says to query_range: one series with value at every
// point, none when value is "".
func rangeAnswer(t *testing.T, r *http.Request, value string) string {
	t.Helper()
	start, err1 := strconv.ParseFloat(r.FormValue("start"), 64)
	end, err2 := strconv.ParseFloat(r.FormValue("end"), 64)
	step, err3 := strconv.ParseFloat(r.FormValue("step"), 64)
	if err := errors.Join(err1, err2, err3); err != nil || r.URL.Path != "/api/v1/query_range" || (end-start)/step > 11_000 {
		t.Errorf("asked %s: %v", r.URL, err)
		return ""
	}
	if value == "" {
		return `{"status":"success","data":{"resultType":"matrix","result":[]}}`
	}
	var points []string
	for at := start; at <= end+step/1000; at += step {
		points = append(points, fmt.Sprintf(`[%.3f,%q]`, at, value))
	}
	return `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"x"},"values":[` + strings.Join(points, ",") + `]}]}}`
}

func TestTheMomentIsAskedForWithoutAWindow(t *testing.T) {
	p := prometheusOn(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prom/api/v1/query" || r.FormValue("time") != "1767614400.250" {
			t.Errorf("asked %s", r.URL)
		}
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"scalar","result":[1767614400.25,"3"]}}`)
	}))
	p.fetch.base = p.fetch.base.JoinPath("prom/")
	at := time.UnixMilli(1767614400250)
	s, err := p.Read(t.Context(), guard.Query{Question: "vector(3)", From: at, To: at})
	if err != nil || len(s.Samples) != 1 || s.Samples[0].Value != 3 || !s.Samples[0].At.Equal(at) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRangesStayBelowTheServersLimit(t *testing.T) {
	now := time.Unix(1767614400, 0)
	for _, c := range []struct {
		window, step time.Duration
		want         string
	}{
		{5 * time.Minute, 0, "5"},
		{30 * time.Second, 0, "1"},
		{30 * 24 * time.Hour, time.Second, "259.2"},
		{time.Hour, time.Minute, "60"},
	} {
		_, form := request(guard.Query{Question: "x", From: now.Add(-c.window), To: now, Step: c.step})
		if form.Get("step") != c.want || form.Get("end") != "1767614400.000" {
			t.Errorf("%s by %s: %v", c.window, c.step, form)
		}
	}
}

func TestAnErrorOfTheServerIsClassed(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, lockstep.ErrInvalid},
		{422, `{"status":"error","errorType":"execution","error":"too many samples"}`, lockstep.ErrInvalid},
		{200, `{"status":"error","errorType":"execution","error":"odd proxy"}`, lockstep.ErrInvalid},
		{503, `{"status":"error","errorType":"timeout","error":"slow"}`, lockstep.ErrUnavailable},
		{429, `slow down`, lockstep.ErrUnavailable},
		{401, `who are you`, lockstep.ErrRefused},
		{403, `no`, lockstep.ErrRefused},
		{302, ``, lockstep.ErrRefused},
		{500, `{"status":"success","data":{"resultType":"vector","result":[]}}`, lockstep.ErrUnavailable},
	} {
		remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.status == 302 {
				http.Redirect(w, r, "/elsewhere", c.status)
				return
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		})
		if s, err := prometheusOn(t, remote).Read(t.Context(), guard.Query{Question: "x", To: time.Now()}); !errors.Is(err, c.want) {
			t.Errorf("%d %s: %+v, %v, want %v", c.status, c.body, s, err, c.want)
		}
	}
}

func TestNobodyThereIsUnavailable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	remote := Remote{URL: s.URL}
	s.Close()
	q := guard.Query{Question: "up{token=\"abc123\"}", To: time.Now()}
	if _, err := prometheusOn(t, remote).Read(t.Context(), q); !errors.Is(err, lockstep.ErrUnavailable) || strings.Contains(err.Error(), "abc123") {
		t.Errorf("%v", err)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	for _, address := range []string{"", "localhost:9090", "ftp://x", "http://", "http://user:hunter22@x", "http://x?token=hunter22", "http://x/#hunter22", "http://hunter22:y z/"} {
		if _, err := NewPrometheus(Remote{URL: address}); !errors.Is(err, lockstep.ErrInvalid) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: %v", address, err)
		}
		if _, err := NewHTTP(Remote{URL: address}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func answers(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/prometheus/*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".json")] = b
	}
	return out
}

func TestRecordedAnswersAreRead(t *testing.T) {
	at := func(s float64) time.Time { return time.UnixMilli(int64(s * 1000)).UTC() }
	up := map[string]string{"__name__": "up", "instance": "localhost:9090", "job": "prometheus"}
	want := map[string]promAnswer{
		"vector": {Series: guard.Series{Samples: []guard.Sample{
			{At: at(1435781451.781), Value: 1, Labels: up},
			{At: at(1435781451.781), Value: 0, Labels: map[string]string{"__name__": "up", "instance": "localhost:9100", "job": "node"}},
		}}},
		"matrix": {Series: guard.Series{Samples: []guard.Sample{
			{At: at(1435781430.781), Value: 1, Labels: up}, {At: at(1435781445.781), Value: math.Inf(1), Labels: up}, {At: at(1435781460.781), Value: math.NaN(), Labels: up},
		}}},
		"scalar":  {Series: guard.Series{Samples: []guard.Sample{{At: at(1435781451), Value: 0.25}}}},
		"empty":   {Series: guard.Series{}},
		"error":   {said: `bad_data: invalid parameter "query": 1:4: parse error: unexpected end of input`},
		"warning": {Series: guard.Series{Samples: []guard.Sample{{At: at(1435781451), Value: 7}}, Warnings: []string{"store 10.0.0.7 did not answer"}}},
	}
	for name, body := range answers(t) {
		got, err := parseProm(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want[name].Series, got.Series, cmp.Comparer(same)); diff != "" || want[name].said != got.said {
			t.Errorf("%s: said %q (-want +got):\n%s", name, got.said, diff)
		}
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	result := func(kind, result string) string {
		return `{"status":"success","data":{"resultType":"` + kind + `","result":` + result + `}}`
	}
	for name, body := range map[string]string{
		"nothing":           ``,
		"not JSON":          `up 1`,
		"no status":         `{}`,
		"no data":           `{"status":"success"}`,
		"a string":          result("string", `[1,"x"]`),
		"null":              result("vector", `null`),
		"an object":         result("vector", `{}`),
		"missing value":     result("vector", `[{"metric":{}}]`),
		"matrix as vector":  result("vector", `[{"metric":{},"values":[[1,"1"]]}]`),
		"vector as matrix":  result("matrix", `[{"metric":{},"value":[1,"1"]}]`),
		"one of a pair":     result("vector", `[{"metric":{},"value":[1]}]`),
		"three":             result("vector", `[{"metric":{},"value":[1,"1","1"]}]`),
		"number as value":   result("vector", `[{"metric":{},"value":[1,1]}]`),
		"null as value":     result("vector", `[{"metric":{},"value":[1,null]}]`),
		"word as value":     result("vector", `[{"metric":{},"value":[1,"many"]}]`),
		"hexadecimal":       result("vector", `[{"metric":{},"value":[1,"0x10"]}]`),
		"text as time":      result("vector", `[{"metric":{},"value":["1","1"]}]`),
		"time without end":  result("vector", `[{"metric":{},"value":[1e300,"1"]}]`),
		"before all times":  result("vector", `[{"metric":{},"value":[-1,"1"]}]`),
		"a histogram":       result("vector", `[{"metric":{},"histogram":[1,{"count":"1"}]}]`),
		"value, histograms": result("matrix", `[{"metric":{},"values":[[1,"1"]],"histograms":[[1,{}]]}]`),
		"too many series":   result("vector", `[`+strings.TrimSuffix(strings.Repeat(`{"metric":{},"value":[1,"1"]},`, maxSeries+1), ",")+`]`),
		"long label":        result("vector", `[{"metric":{"a":"`+strings.Repeat("x", guard.MaxText+1)+`"},"value":[1,"1"]}]`),
		"empty scalar":      result("scalar", `[]`),
	} {
		if got, err := parseProm([]byte(body)); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %+v, %v, want ErrInvalid", name, got, err)
		}
	}
}

func FuzzPrometheusAnswer(f *testing.F) {
	for _, b := range answers(f) {
		f.Add(b)
	}
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"value":[]}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseProm(body)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) || len(got.Samples) > 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			return
		}
		if len(got.Samples) > guard.MaxSamples {
			t.Fatalf("%d samples", len(got.Samples))
		}
		for _, s := range got.Samples {
			if y := s.At.Year(); y < 1970 || y > 9999 {
				t.Fatalf("sample of %s", s.At)
			}
		}
		g := guard.Guard{Test: guard.Test{Kind: guard.Value, Op: guard.AtMost}, Window: time.Hour}
		if r, _ := guard.Judge(g, got.Series, guard.DebounceState{}, time.Unix(1435781460, 0)); r.Verdict == guard.Pass && r.Samples == 0 {
			t.Fatalf("passed on nothing: %+v", r)
		}
	})
}
