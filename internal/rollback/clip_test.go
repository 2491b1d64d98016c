package rollback

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestATextIsCutBetweenCharacters(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"short", "short"},
		{"ten letter", "ten letter"},
		{"eleven text", "elev [cut]"},
		{"ünüüüüüü", "ün [cut]"},
		{"a\xffb", "a\uFFFDb"},
		{"a\x00\x1bb\n\tc", "a  b\n\tc"},
	} {
		if got := clip(c.in, 10); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestWhatIsCutIsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(10, 50).Draw(t, "limit")
		in := string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes"))
		out := clip(in, limit)
		if len(out) > limit || !utf8.ValidString(out) || clip(out, limit) != out {
			t.Errorf("%q becomes %q", in, out)
		}
		if utf8.ValidString(in) && len(in) <= limit && strings.ToValidUTF8(in, "") == in && !strings.ContainsFunc(in, func(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 }) && in != out {
			t.Errorf("%q becomes %q", in, out)
		}
	})
}
