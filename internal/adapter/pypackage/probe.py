import importlib, json, os, sys

mark, module, name = sys.argv[1:4]


def where(found):
    at = getattr(found, "__file__", None)
    return [at] if at else [str(p) for p in getattr(found, "__path__", [])]


try:
    found = importlib.import_module(module)
    if name and not hasattr(found, name):
        importlib.import_module(module + "." + name)
    answer = {"ok": True, "where": where(found)}
except ImportError as e:
    # A name that is not there is missing from a module that is.
    inside = name and e.name == module + "." + name
    answer = {"ok": False, "import": True, "name": module if inside else e.name or "", "error": f"{type(e).__name__}: {e}"}
except BaseException as e:
    answer = {"ok": False, "error": f"{type(e).__name__}: {e}"}
sys.stdout.flush()
sys.stderr.flush()
os.write(1, ("\n" + mark + json.dumps(answer) + "\n").encode())
os._exit(0)  # threads that the module started must not keep it
