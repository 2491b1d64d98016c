package messenger

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify/notifytest"
)

const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func webhookSettings() Settings {
	return Settings{Name: "hook", Kind: KindWebhook, URLEnv: "HOOK", SecretEnv: "SECRET"}
}

func TestWebhookKeepsTheContract(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notifytest.Case {
		h := newHooked(t, map[string]bool{})
		return notifytest.Case{
			Sender:    mustNew(t, webhookSettings(), env(map[string]string{"HOOK": h.URL + hookPath, "SECRET": signingSecret})),
			Recipient: "hook", Set: h.set, Recognises: true, Secrets: []string{"sEcReTtOkEn", signingSecret},
			Shown: func() []string {
				var out []string
				bodies, _ := h.received()
				for _, b := range bodies {
					var e envelope
					if err := json.Unmarshal(b, &e); err != nil {
						t.Error(err)
					}
					out = append(out, e.Subject+"\n"+e.Plain())
				}
				return out
			},
		}
	})
}

func TestTheBodyOfAWebhookIsTheWholeMessage(t *testing.T) {
	h := newHooked(t, map[string]bool{})
	m := notifytest.Message("incident prod-3 rolled-back")
	m.Markdown = "# Rolled back"
	s := mustNew(t, webhookSettings(), env(map[string]string{"HOOK": h.URL + hookPath, "SECRET": signingSecret}))
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	bodies, heads := h.received()
	var e envelope
	if err := json.Unmarshal(bodies[0], &e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(envelope{1, m}, e); diff != "" {
		t.Error(diff)
	}
	id := heads[0].Get("Webhook-Id")
	if id == "" || id != heads[0].Get("Idempotency-Key") || id != keyFor(m.ID) {
		t.Errorf("key %q", id)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	if heads[0].Get("Webhook-Timestamp") != "1777881960" || heads[0].Get("Webhook-Signature") != Sign(key, id, "1777881960", bodies[0]) {
		t.Errorf("%v", heads[0])
	}
}

// TestSignaturesAreThoseOfTheSpecification uses the example that the libraries of
// Standard Webhooks test against.
func TestSignaturesAreThoseOfTheSpecification(t *testing.T) {
	key, err := keyOf(signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAWebhookWithoutASecretIsNotSigned(t *testing.T) {
	h := newHooked(t, nil)
	s := mustNew(t, Settings{Name: "hook", Kind: KindWebhook, URLEnv: "HOOK"}, env(map[string]string{"HOOK": h.URL + hookPath}))
	if _, err := s.Send(t.Context(), notifytest.Message("a")); err != nil {
		t.Fatal(err)
	}
	if _, heads := h.received(); heads[0].Get("Webhook-Signature") != "" || heads[0].Get("Webhook-Id") == "" {
		t.Errorf("%v", heads[0])
	}
}

func TestASecretThatIsWeakOrMissingIsRefusedAndNotShown(t *testing.T) {
	for _, secret := range []string{"", "short", "whsec_####################", "whsec_c2hvcnQ="} {
		_, err := New(webhookSettings(), env(map[string]string{"HOOK": "https://example.org/x", "SECRET": secret}))
		if !errors.Is(err, lockstep.ErrInvalid) || secret != "" && strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", secret, err)
		}
	}
}
