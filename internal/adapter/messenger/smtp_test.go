package messenger

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/notify/notifytest"
)

// mailbox is an SMTP server with one mailbox. Like a real one, it recognises a mail by
// its Message-ID.
type mailbox struct {
	listener net.Listener
	config   *tls.Config // nil: no STARTTLS
	implicit bool
	password string            // "": nobody has to log in
	answers  map[string]string // by verb, instead of its own; once each when they begin with "once "
	fold     bool              // show a mail of one Message-ID once, as readers of mail do

	mu     sync.Mutex // guards everything below
	mode   notifytest.Mode
	mails  [][]byte
	rcpts  []string
	clear  []string // verbs that came without TLS
	logins int
}

func newMailbox(t *testing.T, shape func(*mailbox)) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailbox{listener: l, mode: notifytest.Works, fold: true, answers: map[string]string{}}
	if shape != nil {
		shape(m)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				m.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		open.Wait()
	})
	return m
}

func (m *mailbox) set(mode notifytest.Mode) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mode = mode
	return true
}

func (m *mailbox) serve(conn net.Conn) {
	m.mu.Lock()
	mode := m.mode
	m.mu.Unlock()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	secure := m.implicit
	if m.implicit {
		conn = tls.Server(conn, m.config)
	}
	r := bufio.NewReader(conn)
	say := func(line string) { _, _ = fmt.Fprintf(conn, "%s\r\n", line) }
	switch mode {
	case notifytest.Hangs:
		_, _ = r.ReadByte() // until the other side leaves
		return
	case notifytest.Down:
		say("421 mail.example.org try again later")
		return
	case notifytest.Works, notifytest.Refuses, notifytest.Cuts:
	}
	say("220 mail.example.org ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		m.note(verb, line)
		if !secure {
			m.heard(verb)
		}
		if answer, ok := m.answers[verb]; ok {
			say(answer)
			continue
		}
		switch verb {
		case "EHLO":
			offers := []string{"mail.example.org", "8BITMIME"}
			if m.config != nil && !secure {
				offers = append(offers, "STARTTLS")
			}
			if m.password != "" {
				offers = append(offers, "AUTH PLAIN")
			}
			for i, o := range offers {
				say("250" + string("- "[min(1, (i+1)/len(offers))]) + o)
			}
		case "STARTTLS":
			say("220 go ahead")
			wrapped := tls.Server(conn, m.config)
			conn, r, secure = wrapped, bufio.NewReader(wrapped), true
		case "AUTH":
			m.login(line, say)
		case "MAIL":
			if mode == notifytest.Refuses {
				say("550 5.7.1 not from you")
				continue
			}
			say("250 ok")
		case "RCPT":
			say("250 ok")
		case "DATA":
			say("354 go on")
			m.take(r)
			if mode == notifytest.Cuts {
				return
			}
			say("250 queued as 4711")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what?")
		}
	}
}

// heard notes what was said in the clear.
func (m *mailbox) heard(verb string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear = append(m.clear, verb)
}

func (m *mailbox) note(verb, line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if verb == "RCPT" {
		m.rcpts = append(m.rcpts, line)
	}
}

func (m *mailbox) login(line string, say func(string)) {
	token := strings.TrimPrefix(line, "AUTH PLAIN ")
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || string(raw) != "\x00lockstep\x00"+m.password {
		say("535 5.7.8 no: " + string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '})))
		return
	}
	m.mu.Lock()
	m.logins++
	m.mu.Unlock()
	say("235 welcome")
}

func (m *mailbox) take(r *bufio.Reader) {
	var body bytes.Buffer
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			break
		}
		if !strings.HasSuffix(line, "\r\n") {
			body.WriteString("BARE LF ")
		}
		body.WriteString(strings.TrimPrefix(line, "."))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, body.Bytes())
}

// received are the mails in the mailbox.
func (m *mailbox) received(t *testing.T) []*mail.Message {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*mail.Message
	seen := map[string]bool{}
	for _, raw := range m.mails {
		parsed, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%v:\n%s", err, raw)
		}
		id := parsed.Header.Get("Message-ID")
		if !m.fold || !seen[id] {
			out = append(out, parsed)
		}
		seen[id] = true
	}
	return out
}

// certificate is one for mail.example.org, and who trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example.org"}, DNSNames: []string{"mail.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}
