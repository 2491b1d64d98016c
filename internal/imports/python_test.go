package imports

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

// short is an import in one line: line:column form module[:name][ as x] when[ guarded].
func short(i Import) string {
	s := fmt.Sprintf("%d:%d %s %s%s", i.Line, i.Column, i.Form, strings.Repeat(".", i.Level), i.Module)
	if i.Name != "" {
		s += ":" + i.Name
	}
	if i.As != "" {
		s += " as " + i.As
	}
	s += " " + string(i.When)
	if i.Guarded {
		s += " guarded"
	}
	return s
}

func shorts(list []Import) []string {
	var out []string
	for _, i := range list {
		out = append(out, short(i))
	}
	return out
}

func TestEveryFormOfImportIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		want      []string
	}{
		{"several modules", "import a.b as c, d", []string{"1:8 import a.b as c load", "1:18 import d load"}},
		{"blanks around dots", "import a . b", []string{"1:8 import a.b load"}},
		{"names over lines", "from a.b import (\n  x,  # why\n  y as z,\n)\n", []string{"2:3 from a.b:x load", "3:3 from a.b:y as z load"}},
		{"everything", "from a import *", []string{"1:15 from a:* load"}},
		{"a continued line", "from a \\\n  import b, \\\n  c", []string{"2:10 from a:b load", "3:3 from a:c load"}},
		{"Windows lines", "from a import (\r\n b)\r\nimport c\r\n", []string{"2:2 from a:b load", "3:8 import c load"}},
		{"Macintosh lines", "x = 1\rimport c\r", []string{"2:8 import c load"}},
		{"relative", "from . import a\nfrom .b import c\nfrom ...d.e import f\nfrom .... import g", []string{
			"1:15 from .:a load", "2:16 from .b:c load", "3:20 from ...d.e:f load", "4:18 from ....:g load",
		}},
		{"several statements in a line", "x = 1; import a; from b import c;", []string{"1:15 import a load", "1:32 from b:c load"}},
		{"the body on the line of its header", "if x: import a; import b\nelse: import c", []string{"1:14 import a load", "1:24 import b load", "2:14 import c load"}},
		{"a colon that is no header's", "if (lambda: 1)() and d[1:2] and lambda: 3: import a", []string{"1:51 import a load"}},
		{"a function", "def f(x: int = 1) -> dict[str, int]:\n  import a\nimport b", []string{"2:10 import a call", "3:8 import b load"}},
		{"an async function", "async def f():\n async with g() as h:\n  import a", []string{"3:10 import a call"}},
		{"a class", "class A:\n  import a\n  def f(self): import b", []string{"2:10 import a load", "3:23 import b call"}},
		{"type checking", "if TYPE_CHECKING:\n import a\nelse:\n import b\nif typing.TYPE_CHECKING: import c\nimport d", []string{
			"2:9 import a types", "4:9 import b load", "5:33 import c types", "6:8 import d load",
		}},
		{"not type checking", "if not TYPE_CHECKING:\n import a\nelse:\n import b\nif TYPE_CHECKING or x:\n import c", []string{
			"2:9 import a load", "4:9 import b types", "6:9 import c load",
		}},
		{"a script", "if __name__ == '__main__':\n import a\nif '__main__' == __name__:\n import b\n", []string{"2:9 import a script", "4:9 import b script"}},
		{"a caught failure", "try:\n import a\nexcept (ImportError, KeyError):\n import b\nelse:\n import c\ntry: import d\nexcept: pass\ntry:\n import e\nexcept KeyError:\n pass", []string{
			"2:9 import a load guarded", "4:9 import b load", "6:9 import c load", "7:13 import d load guarded", "10:9 import e load",
		}},
		{"a second clause that catches", "try:\n import a\nexcept KeyError:\n import b\nexcept ModuleNotFoundError:\n pass", []string{"2:9 import a load guarded", "4:9 import b load"}},
		{"a function in a try", "try:\n def f():\n  import a\nexcept ImportError: pass", []string{"3:10 import a call"}},
		{"a try in a try", "try:\n  if x:\n    try:\n      import a\n    finally:\n      pass\nexcept ImportError: pass", []string{"4:14 import a load guarded"}},
		{"a suppressed failure", "with contextlib.suppress(ImportError):\n import a\nwith suppress(OSError):\n import b", []string{"2:9 import a load guarded", "4:9 import b load"}},
		{"a match", "match x:\n case {'a': 1}:\n  import a\n case _: import b\nmatch = 1\nmatch: int = 2\ncase = 3", []string{"3:10 import a load", "4:17 import b load"}},
		{"calls", "m = __import__('a.b')\nimportlib.import_module(\n  \"c\" '.d')\nimport_module(name='e')\n", []string{"1:16 call a.b load", "3:3 call c.d load", "4:20 call e load"}},
		{"relative calls", "import_module('.b', 'a')\nimport_module('..b', package='a.c')\nimport_module('.b', __package__)", []string{
			"1:15 call a.b load", "2:15 call a.b load", "3:15 call .b load",
		}},
		{"a call that nobody can follow", "import_module(x)\nimport_module('a' + y)\nimport_module(f'a.{x}')\n__import__(b'a')\nimport_module('')", nil},
		{"a call in a field", "print(f\"{__import__('a.b')!r:>{import_module('c')}}\")", []string{"1:21 call a.b load", "1:46 call c load"}},
		{"lazily", "lazy import a\nlazy from b import c\nlazy = 1", []string{"1:13 import a call", "2:20 from b:c call"}},
		{"Python 2", "print 'import a'\nexec \"import b\"\nimport c", []string{"3:8 import c load"}},
		{"a form feed", "\fimport a", []string{"1:9 import a load"}},
		{"a mark of the byte order", "\ufeffimport a", []string{"1:11 import a load"}},
		{"an encoding that is UTF-8", "#!/usr/bin/python\n# -*- coding: utf_8 -*-\nimport a", []string{"3:8 import a load"}},
		{"names beyond ASCII", "import größe.ä", []string{"1:8 import größe.ä load"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Python([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, shorts(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStringsAndCommentsImportNothing(t *testing.T) {
	for _, src := range []string{
		"# import a",
		"'''\nimport a\n'''",
		"\"\"\"x\\\"\"\"\nimport a\n\"\"\"",
		"x = 'a\\\nimport a'",
		"x = r'\\'; import a'",
		"x = rb'''\nimport a'''",
		"x = f'''\nimport a {b}\nimport c'''",
		"x = f'{y:{z}}; import a'",
		"x = f'{{import a}}'",
		"x = f\"{d[\"k\"]}; import a\"",
		"x = f'\\N{LATIN SMALL LETTER A}; import a'",
		"x = f'{y!r}' 'import a'",
		"x = [\nimport_a,\n'import a',\n]",
		"important = 1\nimport_ = 2\nfrom_ = 3",
		"raise x from y",
		"def f(): yield from g",
		"x.import_module",
		"class import_module: pass",
	} {
		got, err := Python([]byte(src))
		if err != nil || len(got) > 0 {
			t.Errorf("%q: %v, %v", src, shorts(got), err)
		}
	}
}

func TestWhatIsNoPythonIsSaidSoWithItsPlace(t *testing.T) {
	for src, want := range map[string]string{
		"x = 'a\nimport b":       "line 1 column 5: the string does not end",
		"x = '''a":               "the string does not end",
		"x = f'{a'":              "the string does not end",
		"x = f'{a:b'":            "the field does not end",
		"x = f'''{a":             "the field does not end",
		"\n (a,\nimport b":       "line 2 column 2: the bracket is never closed",
		"(a]":                    "the bracket was never opened",
		"}":                      "the bracket was never opened",
		strings.Repeat("(", 300): "too many brackets",
		strings.Repeat("f'{", 1) + nestedFormat(): "too many",
		"import {{ name }}":                       "line 1 column 8: the import statement cannot be read",
		"import a.":                               "the import statement cannot be read",
		"import a b":                              "the import statement cannot be read",
		"from a import b,":                        "the import statement cannot be read",
		"from a import (b":                        "the bracket is never closed",
		"from a import (b) c":                     "the import statement cannot be read",
		"from import b":                           "the import statement cannot be read",
		"from . b":                                "the import statement cannot be read",
		"if x\n  import a":                        "if without a colon",
		"# coding: latin-1\nimport a":             "its encoding is latin-1 and not UTF-8",
		"\n# vim: set fileencoding=cp1252 :\n":    "its encoding is cp1252",
		"# coding: ascii\nx = 'ä'":                "its encoding is ascii",
		"\ufeff# coding: ascii\n":                 "its encoding is ascii",
		"x = '\xff'":                              "it is not UTF-8",
	} {
		_, err := Python([]byte(src))
		if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", src, err, want)
		}
	}
}

// nestedFormat is the inside of too many format strings in each other.
func nestedFormat() string {
	return strings.Repeat(`f"{`, 200)
}

func TestAnEncodingIsDeclaredInTheFirstTwoLinesOnly(t *testing.T) {
	for _, src := range []string{"\n\n# coding: latin-1\n", "x = 1\n# coding: latin-1\n", "x = '# coding: latin-1'\n"} {
		if _, err := Python([]byte(src)); err != nil {
			t.Errorf("%q: %v", src, err)
		}
	}
}

func FuzzPython(f *testing.F) {
	for _, src := range []string{
		"import a.b as c, d", "from ..a import (b, c as d,)\n", "try:\n import a\nexcept ImportError: pass",
		"x = rf'{a!r:>{b}}' '''\n'''; import c", "if TYPE_CHECKING:\n\tfrom a import *\n", "match x:\n case 1: __import__('a' \".b\")",
		"# coding: utf-8\n\ufeff", "f'{f\"{f'{x}'}\"}'", "\\\r\nimport a\r", "x = '\\", "f'\\N{", "a: int = b, c = d", "async def", "case x:", "(]", "lazy from . import a",
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		found, err := Python(src)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) {
				t.Fatalf("no class: %v", err)
			}
			return
		}
		lines := strings.Count(strings.ReplaceAll(string(src), "\r\n", "\n"), "\n") + strings.Count(strings.ReplaceAll(string(src), "\r\n", ""), "\r") + 1
		for _, i := range found {
			if i.Line < 1 || i.Line > lines || i.Column < 1 || i.Column > len(src)+1 {
				t.Fatalf("%+v is in none of %d lines", i, lines)
			}
			if i.Level == 0 && !isDotted(i.Module) || len(i.Statement) > maxQuoted+3 {
				t.Fatalf("%+v", i)
			}
		}
		// What was sought changes what is looked at, not what is imported.
		p, err := parse(src, []string{"a.b", "c.d.e"})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, i := range p.found {
			if i.Form != FormUse {
				n++
			}
		}
		if n != len(found) {
			t.Fatalf("%d imports, and %d when some are sought", len(found), n)
		}
	})
}
