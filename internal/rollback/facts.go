package rollback

import "time"

// Facts are what is known when a way back is chosen. Assembly gathers them; nothing here
// asks anybody. What is not known is left at its zero value, and is then taken for the
// worse: an environment of no known place is production.
type Facts struct {
	Environment string
	Place       Place
	Release     string // the latest one, "" when there was none
	Bad         string // the revision that is taken back, "" when none is known to be bad
	Standing    Standing
	Good        Pair // the known good pair
	// Deployed says that something of the migration was brought to where it runs.
	Deployed bool
	Written  Written
	Since    Since
	Index    Index
	// Rate is how many messages a second are handled here; 0: nobody knows.
	Rate float64
	// Offers are the targets that are there, by name. One that is not in it is not configured.
	Offers map[string]Offer
}

// Place is where an environment is in the chain of environments.
type Place string

// The places.
const (
	PlaceDev     Place = "dev"
	PlaceStaging Place = "staging"
	PlaceProd    Place = "prod"
)

// Standing is what the bad revision may do now.
type Standing string

// The standings.
const (
	StandingNone   Standing = ""       // it decides for no key, and never did
	StandingShadow Standing = "shadow" // its answers are compared and thrown away
	StandingTrial  Standing = "trial"  // it decides for a share of the keys
	StandingStable Standing = "stable" // it decides for all of them
	StandingEnded  Standing = "ended"  // it did decide, and does no more
)

// Written is what the bad revision wrote that is still in the index.
type Written struct {
	Records  uint64
	Messages uint64 // of the keys that it touched, since its first version: what a revert handles again
	Versions uint64
	First    uint64 // the first version with something of it
}

// Since is what came after a version.
type Since struct {
	Version  uint64 // the one that is returned to
	Messages uint64
	Bad      uint64 // of these, decided by the bad revision
}

// Index is what there is of the index.
type Index struct {
	Records uint64
	Keys    uint64 // of the table, in the mirror
	Head    uint64 // the newest version
	Oldest  uint64 // the oldest version that can still be read
	LogFrom uint64 // the oldest version whose messages are still kept
	Mirror  bool   // the mirror of the table is there and whole
	Damaged string // why no image of a record can be relied on; "": they can
}

// Offer is a target that could take part.
type Offer struct {
	Refuses   string        // why it cannot take part now; "": it can
	Sees      string        // what it would do, or has found, in words
	Predicted time.Duration // how long it will probably take; 0: nobody knows
	// FromTree says of a deployment that what it deploys is made of the working tree, so
	// that the tree has to be right first.
	FromTree bool
}

// Request is what a person asks for. The zero value leaves everything to Choose.
type Request struct {
	Scenario  Scenario  // "": worked out from the facts
	Procedure Procedure // "": that of the scenario
	To        Pair      // the zero Pair: the known good one; without a revision: its revision
	Data      Wish      // "" or WishAuto: the cheapest safe one
	Without   []string  // targets that are to be left out
}

// The targets that Choose knows, as its outline and the reasons name them. A plan may call
// the parts of one by longer names.
const (
	TargetFlag       = "flag"
	TargetQuarantine = "quarantine"
	TargetTraffic    = "traffic"
	TargetGit        = "git"
	TargetPackage    = "package"
	TargetImports    = "imports"
	TargetTests      = "tests"
	TargetDeploy     = "deploy"
	TargetIndex      = "index"
	TargetProof      = "proof"
	TargetFollower   = "follower"
	TargetWatch      = "watch"
	TargetNotify     = "notify"
	TargetIssue      = "issue"
)

// targets lists them in the order of a plan.
func targets() []string {
	return []string{
		TargetFlag, TargetQuarantine, TargetTraffic, TargetGit, TargetPackage, TargetImports, TargetTests, TargetDeploy,
		TargetIndex, TargetProof, TargetFollower, TargetNotify, TargetIssue, TargetWatch,
	}
}
