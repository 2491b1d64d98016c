package rollback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

// file is the smallest target that is of use: a file says what it is told to.
type file struct{}

var _ rollback.Target = file{}

type fileParams struct {
	Path string `json:"path"`
}

func (file) path(at rollback.At) (string, error) {
	var p fileParams
	err := json.Unmarshal(at.Step.Params, &p)
	return p.Path, err
}

func (f file) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	path, err := f.path(at)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return rollback.Sight{}, err
	}
	body, err := os.ReadFile(path)
	return rollback.Sight{State: string(body), Detail: path + " says " + string(body)}, err
}

func (f file) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	path, err := f.path(at)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	if len(at.Kept) == 0 {
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		kept, err := json.Marshal(string(body))
		if err != nil {
			return err
		}
		if err := keep.Keep(ctx, kept); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(at.Step.To), 0o600)
}

func (file) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	var was string
	if err := json.Unmarshal(at.Kept, &was); err != nil {
		return nil, err
	}
	s := at.Step
	s.ID, s.From, s.To = "undo-"+s.ID, s.To, was
	return &s, nil
}

func TestATargetKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		params, err := json.Marshal(fileParams{path})
		if err != nil {
			t.Fatal(err)
		}
		return targettest.Case{
			Target: file{},
			Step:   rollback.Step{ID: "file", Target: "file", Phase: rollback.PhaseCode, Title: "Write it", From: "new", To: "old", Params: params},
			Same: func() error {
				body, err := os.ReadFile(path)
				if string(body) != "new" {
					err = fmt.Errorf("it says %q", body)
				}
				return err
			},
		}
	})
}
