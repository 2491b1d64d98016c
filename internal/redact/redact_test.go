package redact

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Made up; put together so that no scanner takes this file for a leak.
func awsID() string     { return "AKIA" + "IOSFODNN7EXAMPLE" }
func awsSecret() string { return "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY" }
func ghToken() string   { return "gh" + "p_" + strings.Repeat("aB3", 12) }
func slackTok() string  { return "xox" + "b-1234567890-" + "abcdefABCDEF" }
func jwtToken() string {
	return "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0In0." + "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"
}

func pem() string {
	return "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq+/x9Q\nqTzX0mK3hB2pLw==\n-----END RSA " + "PRIVATE KEY-----"
}

func TestSecretsAreTakenOut(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"aws key", "denied for " + awsID() + ".", "denied for [redacted:aws-key]."},
		{"aws pair", awsID() + "," + awsSecret() + "\n", "[redacted:aws-key],[redacted:aws-secret]\n"},
		{"aws secret by name", "aws_secret_access_key = " + awsSecret() + "\nregion = eu", "aws_secret_access_key = [redacted:api-key]\nregion = eu"},
		{"aws secret in JSON", `{"SecretAccessKey": "` + awsSecret() + `", "n": 1}`, `{"SecretAccessKey": "[redacted:api-key]", "n": 1}`},
		{"signed address", "GET /x?X-Amz-Signature=0a1b2c3d&X-Amz-Expires=60", "GET /x?X-Amz-Signature=[redacted:secret]&X-Amz-Expires=60"},
		{"bearer header", "Authorization: Bearer abc.def-123\r\nHost: x", "Authorization: Bearer [redacted:authorization]\r\nHost: x"},
		{"basic header in curl", `curl -H "authorization: basic dXNlcjpwYXNz" http://x`, `curl -H "authorization: basic [redacted:authorization]" http://x`},
		{"header in a map", `{'Authorization': ['Token s3cr3t'], 'Accept': '*'}`, `{'Authorization': ['Token [redacted:authorization]'], 'Accept': '*'}`},
		{"header with a list", "Authorization: AWS4-HMAC-SHA256 Credential=a/b, Signature=c\nok", "Authorization: AWS4-HMAC-SHA256 [redacted:authorization]\nok"},
		{"bearer in prose", "sent bearer 8f7a6b5c4d3e2f1a to it", "sent bearer [redacted:token] to it"},
		{"jwt", "got " + jwtToken() + "!", "got [redacted:jwt]!"},
		{"password in an address", "postgres://app:hunter2@db:5432/x?sslmode=off", "postgres://app:[redacted:password]@db:5432/x?sslmode=off"},
		{"password with @", "redis://:p@ss@cache:6379/0", "redis://:[redacted:password]@cache:6379/0"},
		{"password with a slash", "amqp://u:a/b?c@mq/v", "amqp://u:[redacted:password]@mq/v"},
		{"token as a user", "https://0123456789abcdefABCDEF@git.example.com/r.git", "https://[redacted:token]@git.example.com/r.git"},
		{"plain", "password=hunter2 user=x", "password=[redacted:password] user=x"},
		{"yaml", "  db_password: hunter2\n  port: 1", "  db_password: [redacted:password]\n  port: 1"},
		{"single quotes", "PGPASSWORD='hun ter2' psql", "PGPASSWORD='[redacted:password]' psql"},
		{"double quotes", `secret = "a \" b" # why`, `secret = "[redacted:secret]" # why`},
		{"back quotes", "api_key: `abcd-efgh`,", "api_key: `[redacted:api-key]`,"},
		{"JSON", `{"api_key":"abcdef","n":2}`, `{"api_key":"[redacted:api-key]","n":2}`},
		{"JSON in JSON", `{"m":"{\"token\":\"abcdef\",\"n\":2}"}`, `{"m":"{\"token\":\"[redacted:token]\",\"n\":2}"}`},
		{"Python", `password=b"abc" client_secret=u'defgh'`, `password=b"[redacted:password]" client_secret=u'[redacted:secret]'`},
		{"triple quotes", `password = """abc"""`, `password = """[redacted:password]"""`},
		{"Ruby", `:token => "abcdef"`, `:token => "[redacted:token]"`},
		{"Go", "token := abcdef", "token := [redacted:token]"},
		{"element", "<password>abc</password>", "<password>[redacted:password]</password>"},
		{"option", "run --db-password hunter2 --verbose", "run --db-password [redacted:password] --verbose"},
		{"curl user", "curl -u anna:hunter2 http://x", "curl -u anna:[redacted:password] http://x"},
		{"connection string", "Server=x;Password=abc;Port=1", "Server=x;Password=[redacted:password];Port=1"},
		{"query", "GET /cb?access_token=abcdef&page=2", "GET /cb?access_token=[redacted:token]&page=2"},
		{"sentence", "It said (password: hunter2).", "It said (password: [redacted:password])."},
		{"unclosed quote", "password=\"abc def\nnext line", "password=\"[redacted:password]\nnext line"},
		{"private key", "key:\n" + pem() + "\nend", "key:\n[redacted:private-key]\nend"},
		{"private key in JSON", `{"k":"` + strings.ReplaceAll(pem(), "\n", `\n`) + `"}`, `{"k":"[redacted:private-key]"}`},
		{"private key without its end", "x\n" + pem()[:60], "x\n[redacted:private-key]"},
		{"private key without its beginning", "x\n" + pem()[32:], "x\n[redacted:private-key]"},
		{"github", "push with " + ghToken(), "push with [redacted:github-token]"},
		{"slack", "as " + slackTok() + " ", "as [redacted:slack-token] "},
		{"pulumi", "pul-" + strings.Repeat("0a", 20), "[redacted:api-key]"},
		{"slack webhook", "POST https://hooks.slack.com/services/T0/B0/xyz failed", "POST https://hooks.slack.com/[redacted:webhook] failed"},
		{"other webhook", `"https://chat.example.com/api/webhooks/12/abc"`, `"https://chat.example.com/[redacted:webhook]"`},
		{"cookie", "Cookie: sid=abc; theme=dark\nX: y", "Cookie: [redacted:cookie]\nX: y"},
		{"set-cookie in JSON", `{"Set-Cookie":"sid=abc; Path=/","X":1}`, `{"Set-Cookie":"[redacted:cookie]","X":1}`},
		{"password that holds another secret", "password=" + awsID() + "tail", "password=[redacted:password]"},
	} {
		var r *Redactor
		got := r.Text(c.text)
		if got != c.want {
			t.Errorf("%s: %q\n got %q\nwant %q", c.name, c.text, got, c.want)
		}
		if again := r.Text(got); again != got {
			t.Errorf("%s: a second time: %q", c.name, again)
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	hash := strings.Repeat("3fa9c1d2", 8)
	for _, text := range []string{
		"",
		"digest " + hash + " equals " + hash,
		"sha256:" + hash + ", put_id 00112233445566778899aabbccddeeff",
		"receipts@2+3fa9c1d2e4f5 at version 41, release prod-7.1, incident prod-3",
		"IMAGE#3f8f2a10-5b0d-4c77-9a57-2f6f0f7a1c01#RECEIPT#00002#LINE#00007#WORD#00003#LABEL#GRAND_TOTAL",
		"log/00000000000000000042, delta/" + hash + ", incident/prod-3/00000000000000000001",
		"sequence 111000000000000000001 of shard shardId-000000012345-abcdef12",
		"https://example.com:8443/runs/7/anna@example.com and http://localhost:8000/api/v2",
		"git@github.com:tnorlund/Portfolio.git, ssh://git@host/repo, s3://bucket/key",
		"max_tokens: 512, tokens=12, token_env: GITHUB_TOKEN, password_file: /run/secrets/db",
		"password=${DB_PASSWORD} token=$TOKEN secret: <yours> api_key=*** token: null",
		"basic authentication was refused; a bearer certificate is fine",
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db",
		"PWD=/home/app; Unexpected token: }",
		"docker run -u 1000:1000 image; sort -u",
		"the author of the cookie cutter; no authorization was asked for",
		"compaction_handler.go:42: merchant_name \"ACME\" -> \"Acme\" (100 %)\x00\xff\xfe\r\n\t",
		"[redacted:token] [redacted:password], password=[redacted:password].",
		"primary key: 7, dedupe key=ev-17, group key IMAGE#1",
		"https://github.com/x/y/blob/main/docs/hooks/pre-commit",
		"sk-some-long-branch-name-of-ours",
	} {
		if got := (*Redactor)(nil).Text(text); got != text {
			t.Errorf("%q\nbecame\n%q", text, got)
		}
	}
}

func TestGivenSecretsAreFoundInEverySpelling(t *testing.T) {
	r := New("correct horse", `q"uote&d`, "short", "", "redacted", "correct horse battery\n")
	for text, want := range map[string]string{
		"say correct horse now":        "say [redacted:configured] now",
		"correct horse battery":        "[redacted:configured]",
		"?p=correct+horse":             "?p=[redacted:configured]",
		"/correct%20horse/":            "/[redacted:configured]/",
		`{"a":"q\"uote&d"}`:            `{"a":"[redacted:configured]"}`,
		"Y29ycmVjdCBob3JzZQ== as such": "[redacted:configured] as such",
		"a short one stays":            "a short one stays",
		"[redacted:token] redacted":    "[redacted:token] redacted",
		"password=correct horse":       "password=[redacted:configured]",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if New().Text("token=abcdef") != "token=[redacted:token]" || new(Redactor).Text("x") != "x" {
		t.Error("a redactor that was given nothing knows the shapes")
	}
}

// Each pass uncovers one more, by construction: nothing of such a text is kept.
func TestATextThatGoesOnUncoveringSecretsIsDropped(t *testing.T) {
	r := New("aaaaaa", Marker(KindGiven)+"b")
	if got := r.Text("aaaaaabbb"); got != Marker(KindGiven) {
		t.Errorf("three layers: %q", got)
	}
	got := r.Text("see aaaaaa" + strings.Repeat("b", 100))
	if got != Marker(KindText) || r.Text(got) != got {
		t.Errorf("a hundred layers: %q", got)
	}
}

func TestMarkersAreRecognised(t *testing.T) {
	for text, want := range map[string]int{
		"[redacted:token]": 16, "[redacted:aws-key] x": 18, "x[redacted:token]": 0, "[redacted:token": 0, "[redacted]": 0, "": 0,
	} {
		if got := MarkerAt(text); got != want || Is(text) != (want == len(text) && want > 0) {
			t.Errorf("%q: %d, %v", text, got, Is(text))
		}
	}
	for _, k := range kinds() {
		if !Is(Marker(k)) {
			t.Errorf("the marker of %s is none", k)
		}
	}
}

// pieces are what adversarial text is made of.
func pieces() []string {
	return []string{
		"password", "token", "secret", "api_key", "=", ":", " ", "\n", `"`, "'", "`", `\`, "[redacted:token]", "[redacted:password]", "[", "]",
		"redacted:", "://", "@", "/", "u:", "hooks.", "https://", "webhook", "Authorization: ", "Bearer ", "Basic ", "Digest ", "Cookie: ", "<", ">", "${", "}",
		",", ";", "&", "|", "--", "-u ", "correct horse", "correct+horse", "…", "abc", "x1Y2z3W4", "\xff", "é", "pwd=/", "b\"", `"""`,
		"-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "QUJDREVGR0hJSktMTU5PUA==", awsID(), awsSecret(), ghToken(), slackTok(), jwtToken(),
	}
}

func TestRedactingTwiceIsRedactingOnce(t *testing.T) {
	redactors := []*Redactor{nil, New("correct horse", "token]=abc", "]x1Y2z3W4", "acted:password]abc")}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces()), rapid.StringN(0, 3, 8)), 0, 24).Draw(t, "pieces"), "")
		for _, r := range redactors {
			once := r.Text(text)
			if twice := r.Text(once); twice != once {
				t.Fatalf("%q\nonce  %q\ntwice %q", text, once, twice)
			}
		}
	})
}

func TestASecretIsFoundAmongAnything(t *testing.T) {
	r := New("correct horse battery")
	rapid.Check(t, func(t *rapid.T) {
		around := rapid.SliceOfN(rapid.SampledFrom(pieces()[:len(pieces())-5]), 0, 8)
		before, after := strings.Join(around.Draw(t, "before"), ""), strings.Join(around.Draw(t, "after"), "")
		for _, secret := range []string{"correct horse battery", ghToken(), slackTok(), awsID()} {
			text := before + " " + secret + " " + after
			if got := r.Text(text); strings.Contains(got, secret) {
				t.Fatalf("%q is left in %q", secret, got)
			}
		}
	})
}

func TestTextWithoutShapesStaysByteForByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[A-Z]?[a-z]{0,9}[0-9]{0,4}[ \t\n#.,()+@-]`)).Draw(t, "words")
		text := strings.Join(words, "")
		for _, k := range []string{"pass", "pwd", "secret", "token", "key", "bearer", "basic", "authorization", "cookie"} {
			if strings.Contains(strings.ToLower(text), k) {
				t.Skip("it has a word of ours")
			}
		}
		if got := (*Redactor)(nil).Text(text); got != text && !strings.Contains(text, "-u") {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// Each of these made some shape look at the same bytes over and over, or might.
func TestTimeIsLinearInTheText(t *testing.T) {
	const n = 1 << 16
	for _, piece := range []string{
		"a", "password=", "token=,", "token=${", "pwd=/", `password="`, `token="'`, "x://a:", "x://a:b@", "https://hooks.", "https://a/hooks/", "-----BEGIN PRIVATE KEY-----",
		"QUJDREVGR0hJSktMTU5P\n", "authorization: digest ", "authorization=", "Cookie: ", "eyJaaaaaa.", "bearer ", "--token ", `password="""`, `\`, "[redacted:token]", "secret,a",
	} {
		text := strings.Repeat(piece, n/len(piece))
		began := time.Now()
		(*Redactor)(nil).Text(text)
		// Quadratic time would take minutes; the bound only has to tell the two apart on
		// a machine that is busy.
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%q, %d bytes: %s", piece, len(text), took)
		}
		if testing.Verbose() {
			t.Logf("%q: %s", piece, time.Since(began))
		}
	}
}

func FuzzText(f *testing.F) {
	for _, p := range pieces() {
		f.Add("password=" + p + " " + p + p)
	}
	f.Add(pem() + awsID() + "," + awsSecret() + "\nAuthorization: Bearer " + jwtToken())
	r := New("correct horse")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			t.Skip("linear, and the machine has other work")
		}
		once := r.Text(text)
		if twice := r.Text(once); twice != once {
			t.Errorf("once %q, twice %q", once, twice)
		}
		if strings.Contains(once, "correct horse") {
			t.Errorf("a given secret is left in %q", once)
		}
	})
}
