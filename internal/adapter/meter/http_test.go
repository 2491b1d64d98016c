package meter

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"lockstep/internal/guard"
	"lockstep/internal/guard/guardtest"
	"lockstep/internal/lockstep"
)

func httpOn(t *testing.T, r Remote) *HTTP {
	t.Helper()
	h, err := NewHTTP(r)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHTTPKeepsTheContract(t *testing.T) {
	guardtest.Run(t, guardtest.Fixture{Open: func(t *testing.T, world guardtest.World) (guard.Meter, string) {
		remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+guardtest.Secret || r.URL.String() != "/stats?full=1" {
				t.Errorf("asked %s with %q", r.URL, r.Header.Get("Authorization"))
			}
			if ill(w, r, world) {
				return
			}
			value := map[guardtest.World]string{guardtest.Answers: fmt.Sprint(guardtest.Value), guardtest.NoGood: `"NaN"`, guardtest.Silent: "null"}[world]
			fmt.Fprintf(w, `{"queues":[{"depth":1},{"depth":%s}]}`, value)
		})
		if world == guardtest.Hangs {
			remote.Timeout = guardtest.Patience
		}
		return httpOn(t, remote), "/stats?full=1#/queues/1/depth"
	}})
}

func TestQuestionsTakeANumberOfTheAnswer(t *testing.T) {
	const doc = `{"a":{"b~c/d":[10,"20.5",true,false,null,{"":7}]},"big":123456789012345678901234567890,"text":"x","":3}`
	h := httpOn(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/doc":
			fmt.Fprint(w, doc)
		case "/plain":
			fmt.Fprint(w, " -1.5e3\n")
		case "/nan":
			fmt.Fprint(w, "NaN")
		case "/two":
			fmt.Fprint(w, "1 2")
		case "/more":
			fmt.Fprint(w, "{} {}")
		case "/whole":
			fmt.Fprint(w, "12")
		default:
			http.Error(w, "no", http.StatusTeapot)
		}
	}))
	now := time.Unix(1767614400, 0)
	for _, c := range []struct {
		question string
		want     float64
		err      error
	}{
		{"/doc#/a/b~0c~1d/0", 10, nil},
		{"/doc#/a/b~0c~1d/1", 20.5, nil},
		{"/doc#/a/b~0c~1d/2", 1, nil},
		{"/doc#/a/b~0c~1d/3", 0, nil},
		{"/doc#/a/b~0c~1d/5/", 7, nil},
		{"/doc#/", 3, nil},
		{"/doc#/big", 123456789012345678901234567890, nil},
		{"/doc#/a/b~0c~1d/6", 0, lockstep.ErrNotFound},
		{"/doc#/a/b~0c~1d/01", 0, lockstep.ErrNotFound},
		{"/doc#/a/b~0c~1d/-1", 0, lockstep.ErrNotFound},
		{"/doc#/nowhere", 0, lockstep.ErrNotFound},
		{"/doc#/text/x", 0, lockstep.ErrNotFound},
		{"/doc#/text", 0, lockstep.ErrInvalid},
		{"/doc#/a", 0, lockstep.ErrInvalid},
		{"/doc#", 0, lockstep.ErrInvalid},
		{"/doc", 0, lockstep.ErrInvalid},
		{"/plain", -1500, nil},
		{"/nan", math.NaN(), nil},
		{"/whole#", 12, nil},
		{"/two", 0, lockstep.ErrInvalid},
		{"/more#/a", 0, lockstep.ErrInvalid},
		{"/plain#status", 200, nil},
		{"/gone#status", 418, nil},
		{"/gone", 0, lockstep.ErrRefused},
		{"plain", 0, lockstep.ErrInvalid},
		{"", 0, lockstep.ErrInvalid},
		{"//evil.example/plain", 0, lockstep.ErrInvalid},
		{"http://evil.example/plain", 0, lockstep.ErrInvalid},
		{"/../plain", 0, lockstep.ErrInvalid},
		{"/x/%2e%2E/plain", 0, lockstep.ErrInvalid},
		{"/doc#a", 0, lockstep.ErrInvalid},
	} {
		s, err := h.Read(t.Context(), guard.Query{Question: c.question, To: now})
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%q: %+v, %v, want %v", c.question, s, err, c.err)
			continue
		}
		if c.err == nil && (len(s.Samples) != 1 || !same(s.Samples[0].Value, c.want) || !s.Samples[0].At.Equal(now)) {
			t.Errorf("%q: %+v, want %g", c.question, s, c.want)
		}
	}
	if s, err := h.Read(t.Context(), guard.Query{Question: "/doc#/a/b~0c~1d/4", To: now}); err != nil || len(s.Samples) != 0 {
		t.Errorf("null: %+v, %v", s, err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	reached := false
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		fmt.Fprint(w, "1")
	})
	h := httpOn(t, serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }))
	if s, err := h.Read(t.Context(), guard.Query{Question: "/x", To: time.Now()}); !errors.Is(err, lockstep.ErrRefused) || reached {
		t.Errorf("%+v, %v, reached elsewhere: %t", s, err, reached)
	}
}

func TestNumbersAreDecimal(t *testing.T) {
	for text, ok := range map[string]bool{"1": true, "-1.5": true, "+2e3": true, "0": true, "NaN": true, "+Inf": true, "-Inf": true, "": false, "nan": false, "infinity": false, "0x1p2": false, "1_000": false, "1e999": false, "1,5": false, "-": false, "e": false, "1 ": false} {
		if v, err := parseNumber(text); (err == nil) != ok || err != nil && !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %g, %v", text, v, err)
		}
	}
}

func FuzzMember(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"2"}]}`), "/a/1/b")
	f.Add([]byte(`null`), "")
	f.Add([]byte(`{"~":{"/":3}}`), "/~0/~1")
	f.Fuzz(func(t *testing.T, body []byte, pointer string) {
		if pointer != "" && pointer[0] != '/' {
			return
		}
		v, known, err := member(body, pointer)
		if err != nil && (known || !errors.Is(err, lockstep.ErrInvalid) && !errors.Is(err, lockstep.ErrNotFound)) {
			t.Fatalf("%g, %t, %v", v, known, err)
		}
	})
}
