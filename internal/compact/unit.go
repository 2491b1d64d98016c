package compact

import (
	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// job is one unit of work: all inputs of one group, in order of arrival.
type job struct {
	group    string
	messages []lockstep.Message
	slots    []int             // for each message its place among the commit's inputs, -1: none
	bad      *change.Malformed // then group and messages are empty
	retry    *retry            // then the messages are the parked ones, read when it is planned
}

// retry takes the messages of a group out of the parked collection. Which these are
// is read anew whenever the job is planned: another compactor may have been there.
type retry struct {
	drop  map[string]string // by message id: to be given up, with the reason
	slots map[string]int    // by message id: its place among the commit's inputs

	// As they are in the state that the job is planned on, one per message of the job.
	records []string // ids of the parked records
	images  [][]byte // their canonical bytes
	authors []lockstep.Author
}

// givenUp says whether a person gave message i up, and why.
func (j *job) givenUp(i int) (string, bool) {
	if j.retry == nil {
		return "", false
	}
	reason, ok := j.retry.drop[j.messages[i].ID]
	return reason, ok
}

// planned is what one job would do, on the state it was planned on. Causes are
// indices into its own messages.
type planned struct {
	job       *job
	archive   []version.Archived
	mutations []version.Mutation
	outcomes  []Outcome // one per message of the job
	tallies   map[lockstep.Collection]*version.Tally
	ranges    []span                      // read
	dims      map[lockstep.Collection]int // dimensions that the job would fix
	changed   map[string]int              // published records among the mutations, by entity
	asked     bool                        // a handler decided about it
	by        string                      // the revision that decided, also by not being asked
	unit      *version.Units              // what it counts as for the release in progress
	routed    *routedKey                  // whom its key went to; nil: that is no question
}

// jobsOf groups the inputs: one job per group, in order of first arrival, and one
// per malformed input.
func jobsOf(inputs []Input) []*job {
	byGroup := make(map[string]*job)
	jobs := make([]*job, 0, len(inputs))
	for i := range inputs {
		in := &inputs[i]
		if in.Bad != nil {
			jobs = append(jobs, &job{bad: in.Bad, slots: []int{i}})
			continue
		}
		j := byGroup[in.Message.Group]
		if j == nil {
			j = &job{group: in.Message.Group}
			byGroup[in.Message.Group] = j
			jobs = append(jobs, j)
		}
		j.messages = append(j.messages, in.Message)
		j.slots = append(j.slots, i)
	}
	return jobs
}
