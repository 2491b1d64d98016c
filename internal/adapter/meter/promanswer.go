package meter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

const maxSeries = 100

// promAnswer is a parsed answer: samples, or what the server said was wrong.
type promAnswer struct {
	guard.Series
	said string
}

// promWire is the envelope. Members that are not named are ignored: servers that speak
// the API add their own (stats, infos, isPartial).
type promWire struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

type promSeries struct {
	Metric     map[string]string `json:"metric"`
	Value      json.RawMessage   `json:"value"`
	Values     []json.RawMessage `json:"values"`
	Histogram  json.RawMessage   `json:"histogram"`
	Histograms json.RawMessage   `json:"histograms"`
}

// parseProm reads the answer to query or query_range. ErrInvalid when it is not one:
// every pair has exactly a time and a text, and a shape that is not expected is refused
// rather than read as no data.
func parseProm(body []byte) (promAnswer, error) {
	var w promWire
	if err := json.Unmarshal(body, &w); err != nil {
		return promAnswer{}, fmt.Errorf("%w answer: not the JSON of a Prometheus server", lockstep.ErrInvalid)
	}
	switch w.Status {
	case "error":
		return promAnswer{said: w.ErrorType + ": " + w.Error}, nil
	case "success":
	default:
		return promAnswer{}, fmt.Errorf("%w answer: status %.40q", lockstep.ErrInvalid, w.Status)
	}
	samples, err := promSamples(w.Data.ResultType, w.Data.Result)
	if err != nil {
		return promAnswer{}, err
	}
	return promAnswer{Series: guard.Series{Samples: samples, Warnings: w.Warnings}}, nil
}

func promSamples(kind string, result json.RawMessage) ([]guard.Sample, error) {
	switch kind {
	case "scalar":
		s, err := promPair(result)
		if err != nil {
			return nil, err
		}
		return []guard.Sample{s}, nil
	case "vector", "matrix":
	default:
		return nil, fmt.Errorf("%w answer: result of type %.40q; want scalar, vector or matrix", lockstep.ErrInvalid, kind)
	}
	var list []promSeries
	if !bytes.HasPrefix(bytes.TrimSpace(result), []byte("[")) || json.Unmarshal(result, &list) != nil {
		return nil, fmt.Errorf("%w answer: the %s is no list of series", lockstep.ErrInvalid, kind)
	}
	if len(list) > maxSeries {
		return nil, fmt.Errorf("%w answer: %d series, at most %d; aggregate in the question", lockstep.ErrInvalid, len(list), maxSeries)
	}
	var out []guard.Sample
	for _, one := range list {
		samples, err := one.samples(kind)
		if err != nil {
			return nil, err
		}
		if out = append(out, samples...); len(out) > guard.MaxSamples {
			return nil, fmt.Errorf("%w answer: more than %d samples", lockstep.ErrInvalid, guard.MaxSamples)
		}
	}
	return out, nil
}

func (s promSeries) samples(kind string) ([]guard.Sample, error) {
	pairs := s.Values
	if kind == "vector" {
		pairs = []json.RawMessage{s.Value}
	}
	switch {
	case s.Histogram != nil || s.Histograms != nil:
		return nil, fmt.Errorf("%w answer: a native histogram is no number; use histogram_quantile", lockstep.ErrInvalid)
	case (kind == "vector") != (s.Value != nil) || (kind == "matrix") != (s.Values != nil):
		return nil, fmt.Errorf("%w answer: a series without its values, or with those of another type", lockstep.ErrInvalid)
	case len(s.Metric) > guard.MaxLabels:
		return nil, fmt.Errorf("%w answer: %d labels, at most %d", lockstep.ErrInvalid, len(s.Metric), guard.MaxLabels)
	}
	labels := s.Metric
	if len(labels) == 0 {
		labels = nil
	}
	for k, v := range labels {
		if len(k) > guard.MaxText || len(v) > guard.MaxText {
			return nil, fmt.Errorf("%w answer: a label is longer than %d bytes", lockstep.ErrInvalid, guard.MaxText)
		}
	}
	out := make([]guard.Sample, 0, len(pairs))
	for _, p := range pairs {
		one, err := promPair(p)
		if err != nil {
			return nil, err
		}
		one.Labels = labels
		out = append(out, one)
	}
	return out, nil
}

// lastSecond is the end of the year 9999: a later date cannot be written as text.
const lastSecond = 253402300799

// promPair reads [unix seconds, "value"].
func promPair(raw json.RawMessage) (guard.Sample, error) {
	var pair []json.RawMessage
	var text string
	if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 || !bytes.HasPrefix(pair[1], []byte(`"`)) || json.Unmarshal(pair[1], &text) != nil {
		return guard.Sample{}, fmt.Errorf("%w answer: %.60q is no pair of a time and a text", lockstep.ErrInvalid, raw)
	}
	at, err := strconv.ParseFloat(string(pair[0]), 64)
	if err != nil || !(at >= 0 && at <= lastSecond) {
		return guard.Sample{}, fmt.Errorf("%w answer: %.40q is no time", lockstep.ErrInvalid, pair[0])
	}
	v, err := parseNumber(text)
	if err != nil {
		return guard.Sample{}, err
	}
	return guard.Sample{At: time.UnixMilli(int64(math.Round(at * 1000))).UTC(), Value: v}, nil
}
