// Package github documents incidents as issues: on GitHub, or as Markdown files in a
// directory where there is no GitHub. Both satisfy notify.Sender and run notifytest's
// suite.
//
// It answers one question, "is this in the issue of this incident?", and promises one
// issue per topic of messages: the first message opens it, with the label
// migration-blocker, and those that follow become comments. Before anything is written it
// is looked for, by markers that people do not see:
//
//	<!-- lockstep:incident prod-3 -->                       in the text of the issue
//	<!-- lockstep-message:incident prod-3 rolled-back -->   in that of the issue, or of a comment
//
// so that an attempt whose answer was lost is recognised by the next. It looks among the
// issues that bear the label; one that people took the label from is not found again.
// An issue is never closed, reopened, renamed or relabelled.
//
// What GitHub lists may lag behind what it has accepted by a moment. An attempt that is
// repeated in that moment is not recognised; the pause before a second one is longer as a
// rule.
//
// Only the configured host is called. The token is read from the environment when the
// sender is made, is sent to nobody else, and stands in no error. When GitHub limits the
// rate, the error says until when.
package github
