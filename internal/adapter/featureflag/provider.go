// Package featureflag answers: how do releases and OpenFeature meet?
//
// Both ways. Provider answers OpenFeature clients from the ledger of releases, so that
// other code of a team can ask which revision decides about a key and always hears what
// the compactor does. Veto asks an OpenFeature client before a candidate gets a key, for
// teams that have flags already: a flag can keep keys from a candidate, and can never give
// it more than its release has earned.
package featureflag

import (
	"context"
	"fmt"

	"github.com/open-feature/go-sdk/openfeature"

	"lockstep/internal/release"
)

// The flags that Provider knows. The targeting key of the evaluation context is the
// partition key of the item.
const (
	FlagCandidate = "lockstep.candidate" // bool: whether the candidate decides about the key
	FlagRevision  = "lockstep.revision"  // string: the id of the revision that decides
)

var _ openfeature.FeatureProvider = (*Provider)(nil)

// Provider is the ledger of releases as an OpenFeature provider.
type Provider struct {
	head func(context.Context) (release.Head, error)
}

// NewProvider returns a provider that reads the newest entry by head for every evaluation.
func NewProvider(head func(context.Context) (release.Head, error)) *Provider {
	return &Provider{head: head}
}

// Metadata implements openfeature.FeatureProvider.
func (*Provider) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: "lockstep"} }

// Hooks implements openfeature.FeatureProvider.
func (*Provider) Hooks() []openfeature.Hook { return nil }

// BooleanEvaluation implements openfeature.FeatureProvider for FlagCandidate.
func (p *Provider) BooleanEvaluation(ctx context.Context, flag string, byDefault bool, at openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	arm, _, detail := p.resolve(ctx, flag, FlagCandidate, at)
	if detail.Reason == openfeature.ErrorReason {
		return openfeature.BoolResolutionDetail{Value: byDefault, ProviderResolutionDetail: detail}
	}
	return openfeature.BoolResolutionDetail{Value: arm == release.ArmCandidate, ProviderResolutionDetail: detail}
}

// StringEvaluation implements openfeature.FeatureProvider for FlagRevision.
func (p *Provider) StringEvaluation(ctx context.Context, flag, byDefault string, at openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	_, revision, detail := p.resolve(ctx, flag, FlagRevision, at)
	if detail.Reason == openfeature.ErrorReason {
		revision = byDefault
	}
	return openfeature.StringResolutionDetail{Value: revision, ProviderResolutionDetail: detail}
}

// FloatEvaluation implements openfeature.FeatureProvider; there is no such flag.
func (*Provider) FloatEvaluation(_ context.Context, flag string, byDefault float64, _ openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	return openfeature.FloatResolutionDetail{Value: byDefault, ProviderResolutionDetail: unknown(flag)}
}

// IntEvaluation implements openfeature.FeatureProvider; there is no such flag.
func (*Provider) IntEvaluation(_ context.Context, flag string, byDefault int64, _ openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	return openfeature.IntResolutionDetail{Value: byDefault, ProviderResolutionDetail: unknown(flag)}
}

// ObjectEvaluation implements openfeature.FeatureProvider; there is no such flag.
func (*Provider) ObjectEvaluation(_ context.Context, flag string, byDefault any, _ openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	return openfeature.InterfaceResolutionDetail{Value: byDefault, ProviderResolutionDetail: unknown(flag)}
}

func (p *Provider) resolve(ctx context.Context, flag, want string, at openfeature.FlattenedContext) (release.Arm, string, openfeature.ProviderResolutionDetail) {
	if flag != want {
		return 0, "", unknown(flag)
	}
	key, _ := at[openfeature.TargetingKey].(string)
	if key == "" {
		return 0, "", failed(openfeature.NewTargetingKeyMissingResolutionError("the targeting key is the partition key of the item"))
	}
	head, err := p.head(ctx)
	if err != nil {
		return 0, "", failed(openfeature.NewGeneralResolutionError(err.Error()))
	}
	r := head.Routing("")
	if r.Stable == "" {
		return 0, "", failed(openfeature.NewGeneralResolutionError("the ledger of releases has not begun"))
	}
	arm := r.Arm(key)
	reason := openfeature.SplitReason
	if r.Candidate == "" || r.Weight == 0 || r.Weight == release.All {
		reason = openfeature.StaticReason
	}
	return arm, r.Revision(key), openfeature.ProviderResolutionDetail{
		Reason: reason, Variant: arm.String(),
		FlagMetadata: openfeature.FlagMetadata{"release": r.Release, "entry": int64(r.Number)},
	}
}

func unknown(flag string) openfeature.ProviderResolutionDetail {
	return failed(openfeature.NewFlagNotFoundResolutionError(fmt.Sprintf("flag %q: the flags of this type are %s and %s", flag, FlagCandidate, FlagRevision)))
}

func failed(err openfeature.ResolutionError) openfeature.ProviderResolutionDetail {
	return openfeature.ProviderResolutionDetail{Reason: openfeature.ErrorReason, ResolutionError: err}
}
