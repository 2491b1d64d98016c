package featureflag

import (
	"context"

	"github.com/open-feature/go-sdk/openfeature"
)

// Asker is what Veto needs of an OpenFeature client.
type Asker interface {
	BooleanValue(ctx context.Context, flag string, defaultValue bool, evalCtx openfeature.EvaluationContext, options ...openfeature.Option) (bool, error)
}

// Veto keeps keys from a candidate by a boolean flag of any OpenFeature provider.
type Veto struct {
	Client  Asker
	Flag    string // true lets the candidate have the key that its release gives it
	Context map[string]any
}

// Allows asks the flag about a key. What cannot be evaluated allows nothing: a switch
// that does not answer is off.
func (v *Veto) Allows(ctx context.Context, key string) bool {
	ok, err := v.Client.BooleanValue(ctx, v.Flag, false, openfeature.NewEvaluationContext(key, v.Context))
	return err == nil && ok
}
