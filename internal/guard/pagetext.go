package guard

// The prose of docs/guards.md. Its tables are in document.go.
const (
	pageHead = `# Guards

<!-- Written from internal/guard; change it there and run: go test ./internal/guard -update -->

A guard is a question about the running system with a verdict. The rollback document lists six reasons to roll back and four
not to; this page says how each of them is measured. No data is never good news: only what was seen to hold passes.
`

	pageJudge = `
How a window becomes a verdict:

- Samples in (now - window, now] count, in the order of their own dates, however late they arrive. A source's clock may be up to a
  minute ahead; what is dated further ahead is not believed.
- No samples: ` + "`on_no_data`" + ` decides, ` + "`hold`" + ` (inconclusive) by default. ` + "`fail`" + ` is for silence that is itself the failure, ` + "`pass`" + ` only for observers and
  for tests of absence.
- A newest sample that is stale or is no number (NaN, infinite), a comparison without stable's samples, and a good answer that may be
  partial are inconclusive. A source that does not answer is broken. Neither rolls back; both hold.
- Several series in one answer must all hold.
- A ratio compares a value with a multiple of what stable does at the same time. Up to the floor it passes, because a multiple of next to
  nothing says nothing.
- "2 of 3 looks" means that the guard fails when 2 of its last 3 looks failed, and is inconclusive at the first. A look counts when it sees a
  newer sample than the one before; a gap neither clears a failure nor adds one.

## What all guards together say

` + "`lockstep assess`" + ` gives one verdict.

| verdict | meaning |
|---|---|
`

	pageAssess = `
The first rule that applies decides:

1. ` + "`roll-back`" + `: a guard with action ` + "`rollback`" + ` on one of the six lines fails.
2. ` + "`hold`" + `: a guard with action ` + "`hold`" + ` fails, or one with action ` + "`hold`" + ` or ` + "`rollback`" + ` is inconclusive or broken, or there is no such guard.
3. ` + "`fix-forward`" + `: a guard on one of the four other lines fails. It is shown with its reason and never rolls back.
4. ` + "`healthy`" + `.

Guards with action ` + "`observe`" + ` are evidence and decide nothing. A line that no guard asks about is shown as not asked.
`

	pageSources = `
## Sources

| kind | question | answer |
|---|---|---|
| ` + "`ledger`" + ` | a metric of the list above | exact, always there |
| ` + "`prometheus`" + ` | PromQL that gives a scalar, a vector or a matrix | its samples; an empty result is no data; a warning makes the answer partial |
| ` + "`http`" + ` | ` + "`/path`" + `, ` + "`/path#/json/pointer`" + ` or ` + "`/path#status`" + ` | the body as a number, a member of the JSON body, or the status code |
| ` + "`exec`" + ` | an argument for the configured command | nothing, one number, or samples as JSON, one a line |

A JSON member that is ` + "`null`" + ` is no data; one that does not exist is an error. Redirects are not followed. A command runs with the environment
that its configuration names and nothing else, with a time and an output limit, and reads one line on its standard input:
` + "`" + `{"question":"...","from":"...","to":"..."}` + "`" + `. Answers are limited to 8 MiB, 100 series and 50,000 samples.
`

	pageRecordings = `
## Recordings

Before anything may rely on a guard it must be shown passing and failing on recorded samples; ` + "`lockstep guard test`" + ` does that. The built-in
guards bring their recordings. One of your own is a file with one JSON object:

| member | meaning |
|---|---|
| ` + "`format`" + ` | 1 |
| ` + "`name`" + ` | of the recording: lower case letters, digits, hyphens |
| ` + "`guard`" + ` | the guard whose question it answers |
| ` + "`about`" + ` | a sentence for people, optional |
| ` + "`looks`" + ` | further times at which the guard looks, for what is not there |
| ` + "`samples`" + ` | what the source said |
| ` + "`stable`" + ` | what it said about stable, for ratios |
| ` + "`warnings`" + ` | why the answer may be partial |
| ` + "`err`" + ` | why the source did not answer at all |

A sample has ` + "`at`" + ` and either ` + "`value`" + ` (a number, or "NaN", "+Inf", "-Inf") or ` + "`err`" + `, and optionally ` + "`labels`" + ` and ` + "`note`" + `. Other members are
refused. At most 1 MiB and 1,000 samples. The guard looks at the time of every sample and sees what was there by then. It is shown
passing by a recording in which it never fails and passes at the end, and failing by one in which it fails.

` + "```json recording" + `
{
  "format": 1,
  "name": "parked-keys-fail",
  "guard": "parked-keys",
  "about": "Two keys are parked between the second and the third look.",
  "samples": [
    {"at": "2026-01-05T10:00:00Z", "value": 0},
    {"at": "2026-01-05T10:01:00Z", "value": 0},
    {"at": "2026-01-05T10:02:00Z", "value": 2, "note": "both at receipts@2"}
  ]
}
` + "```" + `
`

	pageConfig = `
## Configuration

The sections ` + "`guards`" + ` and ` + "`checks`" + ` of ` + "`lockstep.yaml`" + `; "lockstep lint" reads them. A built-in guard is changed by its name: what is not said stays as it is
("limit" is short for that of its test). A guard of your own says everything, and needs recordings that show it passing and failing before it may hold or roll back
("Recordings"); until then it is broken, which holds.

` + "```yaml" + `
guards:
  recordings: ./recordings                  # of guards of your own, one file each
  keep_keys: [text, confidence]             # metadata keys that no record may lose
  sources:
    prom: {kind: prometheus, url: "https://prometheus.example", header: {Authorization: PROM_AUTH}, timeout: 2s}
    disk: {kind: exec, command: [/usr/local/bin/disk-used], env: {LANG: C}}
  set:
    no-version: {limit: 600, action: hold}  # a built-in one, changed
    disk-full:                              # one of your own
      criterion: performance
      source: disk
      question: /data
      window: 5m
      test: {kind: value, op: at-most, limit: 0.9, unit: share}
      action: hold
      why: A full disk ends every release.
checks:
  every: 1h                                 # while a release is under way; 0: only "lockstep assess --tests"
  tests:
    - {name: unit, command: [make, test], dir: ./handlers, env: {PATH: /usr/bin}, timeout: 5m}
    - {name: lint, command: [make, lint], blocking: false}
` + "```" + `

A header's value is the name of an environment variable, so that no secret stands in the file. A test command passes when it ends with status 0. A server runs them when a
release begins and then every ` + "`every`" + `; its results are shown with their age, and until there are any the guards on them are inconclusive.
`
)
