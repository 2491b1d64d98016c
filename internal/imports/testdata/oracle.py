"""Lists what Python files import, as CPython itself reads them: one JSON line a file.

The files come on standard input, one a line. A file that CPython does not parse has null.
"""
import ast
import json
import sys
import warnings

CATCHING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def names(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


class Reader:
    def __init__(self):
        self.found = []

    def add(self, node, form, level, module, name, alias, state):
        when, guarded = state
        self.found.append([node.lineno, form, level, module or "", name or "", alias or "", when, guarded])

    def body(self, statements, state):
        for s in statements:
            self.statement(s, state)

    def statement(self, s, state):
        when, guarded = state
        if isinstance(s, ast.Import):
            for a in s.names:
                self.add(s, "import", 0, a.name, "", a.asname, state)
        elif isinstance(s, ast.ImportFrom):
            for a in s.names:
                self.add(s, "from", s.level, s.module, a.name, a.asname, state)
        elif isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.body(s.body, (when if when == "types" else "call", False))
        elif isinstance(s, ast.If):
            test = names(s.test)
            inner, outer = when, when
            if "TYPE_CHECKING" in test:
                inside = list(ast.walk(s.test))
                mixed = any(isinstance(n, ast.BoolOp) and isinstance(n.op, ast.Or) for n in inside)
                negated = any(isinstance(n, ast.Not) for n in inside)
                if not mixed and not negated:
                    inner = "types"
                elif isinstance(s.test, ast.UnaryOp) and not any(isinstance(n, ast.BoolOp) for n in inside):
                    outer = "types"
            elif ast.unparse(s.test) == "__name__ == '__main__'" and when == "load":
                inner = "script"
            self.body(s.body, (inner, guarded))
            self.body(s.orelse, (outer, guarded))
        elif isinstance(s, (ast.Try, getattr(ast, "TryStar", ast.Try))):
            catches = any(h.type is None or names(h.type) & CATCHING for h in s.handlers)
            self.body(s.body, (when, guarded or catches))
            for h in s.handlers:
                self.body(h.body, state)
            self.body(s.orelse, state)
            self.body(s.finalbody, state)
        elif isinstance(s, (ast.With, ast.AsyncWith)):
            used = set().union(*(names(i.context_expr) for i in s.items))
            self.body(s.body, (when, guarded or bool("suppress" in used and used & CATCHING)))
        elif isinstance(s, ast.Match):
            for c in s.cases:
                self.body(c.body, state)
        else:
            for field in ("body", "orelse"):
                inner = getattr(s, field, None)
                if isinstance(inner, list):
                    self.body(inner, state)


warnings.simplefilter("ignore")
for line in sys.stdin:
    try:
        with open(line.rstrip("\n"), "rb") as f:
            tree = ast.parse(f.read())
    except (SyntaxError, ValueError):
        print("null")
        continue
    r = Reader()
    r.body(tree.body, ("load", False))
    print(json.dumps(r.found))
