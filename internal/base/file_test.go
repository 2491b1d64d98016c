package base

import (
	"errors"
	"strings"
	"testing"
)

func TestAPanicOfTheParquetReaderIsAnError(t *testing.T) {
	err := guarded(func() error {
		levels := []byte(t.Name())
		_ = levels[len(levels)+len(t.Name())]
		return nil
	})
	if !errors.Is(err, errPanic) || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("%v, want errPanic with its reason", err)
	}
}

func TestAFooterThatDoesNotFitTheFileIsRefused(t *testing.T) {
	for name, file := range map[string]string{
		"empty":              "",
		"no magic":           "PAR1abcd\x04\x00\x00\x00PARE",
		"longer than file":   "PAR1abcd\x05\x00\x00\x00PAR1",
		"largest length":     "PAR1abcd\xff\xff\xff\xffPAR1",
		"not a Thrift value": "PAR1\xff\xff\xff\xff\x04\x00\x00\x00PAR1",
	} {
		if out, err := withoutPageIndex([]byte(file)); !errors.Is(err, errFooter) {
			t.Errorf("%s: %q, %v; want errFooter", name, out, err)
		}
	}
}
