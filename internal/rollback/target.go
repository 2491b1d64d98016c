package rollback

import (
	"context"
	"encoding/json"
)

// Target is one kind of thing that can be taken back: a pair of look and do. The engine
// looks, does, and looks again; a target decides nothing about order.
//
// targettest is the contract suite that every target passes.
type Target interface {
	// Look says what is there now. It changes nothing and may be called at any time, also
	// while somebody else works on the same thing.
	Look(ctx context.Context, at At) (Sight, error)
	// Do makes the step's To true. It is called when Look found From or Partial, and it
	// must go on from whatever an earlier Do of the same step, killed anywhere, has left.
	// An error leaves what Look then says. lockstep.ErrRefused: it cannot be done, and the
	// error says what a person has to do first.
	Do(ctx context.Context, at At, keep Keeper) error
	// Undo returns the step that takes this one back, after it was done. lockstep.ErrRefused:
	// it cannot be taken back, and the error says why. nil without an error: there is
	// nothing to take back (a check, a message).
	Undo(ctx context.Context, at At) (*Step, error)
}

// At is a step with what its target has kept of it so far.
type At struct {
	Step Step
	Kept json.RawMessage // as the last Keep; nil before
}

// Keeper is how a target tells of its work while it is at it.
type Keeper interface {
	// Say tells people how far it is. total 0: nobody knows.
	Say(text string, done, total int64)
	// Keep stores in the journal what Look and a resumed Do need, such as the result of a
	// test run: it is in At.Kept from then on. An error means that nothing was kept.
	Keep(ctx context.Context, kept json.RawMessage) error
}

// Partial is the state that Look answers with when a Do of the same step has begun and
// not finished, and can go on.
const Partial = "partial"

// Sight is what Look found.
type Sight struct {
	State    string     `json:"state"`            // compared with From and To
	Detail   string     `json:"detail,omitempty"` // one line for people
	Evidence []Evidence `json:"evidence,omitempty"`
}

// Evidence is one fact that speaks for or against an item of the checklist.
type Evidence struct {
	Item string `json:"item"` // id of the item: one of the constants below
	OK   bool   `json:"ok"`
	Text string `json:"text"`           // what was seen: "branch rollback-x at 3fa9c1d"
	Link string `json:"link,omitempty"` // where it can be looked up: a ledger entry, a file, an address
}

// The items of the checklist that evidence can speak for, in the order of the document.
const (
	ItemGitBranch   = "git.reference-branch"     // Rollback branch created (for reference)
	ItemGitReverted = "git.reverted"             // Commits reverted or reset
	ItemGitNoCode   = "git.no-migration-code"    // No migration code in working tree
	ItemGitClean    = "git.clean"                // Git status clean
	ItemPkgAbsent   = "package.removed"          // the named directories are gone
	ItemPkgInit     = "package.init-reverted"    // Package __init__.py reverted
	ItemPkgInstall  = "package.reinstalled"      // Package reinstalled
	ItemPkgImports  = "package.imports"          // Import tests confirm no migrated module
	ItemHandlers    = "lambda.handlers-reverted" // Handler files reverted
	ItemLocal       = "lambda.local-imports"     // Import statements back to local modules
	ItemNoImports   = "lambda.no-imports"        // No imports of the migrated modules
	ItemTestPackage = "tests.package"            // package tests pass
	ItemTestLambda  = "tests.lambda"             // Lambda tests pass
	ItemTestLocal   = "tests.integration"        // Local integration tests pass
	ItemDeployed    = "deploy.done"              // Lambda deployed successfully
	ItemDeployClean = "deploy.no-errors"         // No deployment errors
	ItemExecuting   = "deploy.executing"         // Handlers executing successfully
	ItemNormal      = "deploy.metrics"           // Metrics showing normal operation
	ItemSuccess     = "monitor.success"          // CompactionLambdaSuccess metric normal
	ItemErrors      = "monitor.errors"           // CompactionLambdaError metric low/zero
	ItemProcessed   = "monitor.processed"        // StreamProcessorProcessedRecords normal
	ItemCustomers   = "monitor.customers"        // No customer-facing issues
	ItemLogs        = "monitor.logs"             // logs clean
	ItemIssue       = "docs.issue"               // Rollback documented in an issue
	ItemNotified    = "docs.notified"            // Team notified
	ItemPlanUpdated = "docs.plan-updated"        // Migration plan updated
	ItemLessons     = "docs.lessons"             // Lessons learned documented
	// Beyond the document, which knows nothing of data.
	ItemRouting    = "data.routing"    // no key is decided by the bad revision
	ItemQuarantine = "data.quarantine" // the bad revision is refused everywhere
	ItemDataBack   = "data.back"       // what it wrote is taken back
	ItemProven     = "data.proven"     // the digest equals that of the counterfactual
	ItemFollowers  = "data.followers"  // followers hold the new version
)
