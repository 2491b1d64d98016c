// Package deploy answers: what runs now, which version was the last good one, and does it
// run again? It is the deploy target of a rollback, over the Pulumi CLI or over commands.
//
// It promises:
//   - The good version is found and explained, never taken to be the one before: by the
//     release's record, or as the last update that succeeded before a moment.
//   - What a tool says it did is not what runs. After every deployment the version is read
//     back, and a deployment that left the old one running has failed.
//   - A lock is somebody's work. A locked stack is ErrUnavailable with the holder and the
//     manual command; "pulumi cancel" is never run from here, since cancelling an update
//     that still goes on can leave state that matches nothing. A person looks and decides.
//   - Secrets stay where they are. Values that a tool marks as secret are never asked for,
//     and the values of the passed environment are struck out of all that is quoted.
//
// A quick rollback does not come here: it depends on neither Pulumi nor git.
package deploy
