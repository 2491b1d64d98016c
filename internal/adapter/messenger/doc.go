// Package messenger brings messages to people: to a chat by a Slack-compatible webhook,
// to any program by a webhook, by mail, and into a directory. All satisfy notify.Sender
// and run notifytest's suite.
//
// It answers one question, "has this recipient got this message?", and promises that no
// means no: an error of the class ErrUnavailable when asking again may help, with the
// time that the receiver named, and of another class when it will not. Errors name the
// recipient and never its address; that and every other secret is read from the
// environment when a sender is made, and struck out of whatever a receiver answers.
//
// Only the configured host is called, over TLS unless it is this machine: redirects to
// other hosts are not followed, proxies of the environment are not used, and answers are
// bounded. Constructors call nobody.
//
// # Webhook
//
// The body is a JSON object: format (1), then the members of notify.Message. The headers
// Webhook-Id and Idempotency-Key are the same for every attempt of a message, and a
// receiver that has seen one answers 200 and does nothing. With a secret, the headers
// Webhook-Timestamp and Webhook-Signature follow the Standard Webhooks specification:
// the signature is "v1," and the base64 of the HMAC-SHA256, by the secret, of the id, the
// timestamp and the body, joined by dots. A secret that begins with whsec_ is base64.
//
// # What it does not do
//
// Slack takes no key: after a lost answer the message may appear twice. A mail that a
// server accepted may still be lost behind it; a bounce is not noticed.
package messenger
