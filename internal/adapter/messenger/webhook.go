package messenger

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Webhook posts a message as JSON to any program, signed when there is a secret. The
// package comment says what it gets.
type Webhook struct {
	hook *hook
	key  []byte // nil: no signature
	now  func() time.Time
}

var _ notify.Sender = (*Webhook)(nil)

const (
	webhookFormat = 1
	secretPrefix  = "whsec_"
	minKey        = 16 // bytes; what is shorter can be guessed
)

func newWebhook(s Settings, o Options) (*Webhook, error) {
	h, err := newHook(s, o)
	if err != nil {
		return nil, err
	}
	w := &Webhook{hook: h, now: o.Now}
	if s.SecretEnv == "" {
		return w, nil
	}
	secret, err := o.env(s.Name, s.SecretEnv)
	if err != nil {
		return nil, err
	}
	w.hook.secrets = append(secrets{secret}, w.hook.secrets...)
	if w.key, err = keyOf(secret); err != nil {
		return nil, fmt.Errorf("%w recipient %q: what %s holds: %w", lockstep.ErrInvalid, s.Name, s.SecretEnv, err)
	}
	return w, nil
}

// keyOf reads a secret. Its error does not quote it.
func keyOf(secret string) ([]byte, error) {
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, secretPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, fmt.Errorf("behind %s it is not base64", secretPrefix)
		}
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("it has %d bytes, want %d or more", len(key), minKey)
	}
	return key, nil
}

// envelope is the body, and a line of Lines.
type envelope struct {
	Format int `json:"format"`
	notify.Message
}

func bodyOf(name string, m notify.Message) ([]byte, error) {
	body, err := json.Marshal(envelope{webhookFormat, m})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, lockstep.ErrInvalid, err)
	}
	return body, nil
}

// keyFor is the key by which a receiver recognises a message: the same for every
// attempt, and made of characters that every header and every database takes.
func keyFor(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "lockstep_" + hex.EncodeToString(sum[:16])
}

// Send posts m. Errors are as notify.Sender says.
func (w *Webhook) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := begin(ctx, w.hook.name, m); err != nil {
		return notify.Receipt{}, err
	}
	body, err := bodyOf(w.hook.name, m)
	if err != nil {
		return notify.Receipt{}, err
	}
	id := keyFor(m.ID)
	header := http.Header{"Idempotency-Key": {id}, "Webhook-Id": {id}}
	if w.key != nil {
		stamp := strconv.FormatInt(w.now().Unix(), 10)
		header.Set("Webhook-Timestamp", stamp)
		header.Set("Webhook-Signature", Sign(w.key, id, stamp, body))
	}
	said, err := w.hook.post(ctx, body, header)
	return notify.Receipt{Text: said}, err
}

// Sign returns the signature of a body by the Standard Webhooks specification.
func Sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + timestamp + ".")) // a hash takes everything
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
