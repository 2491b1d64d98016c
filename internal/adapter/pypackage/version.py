import importlib, json, os, sys

mark, module = sys.argv[1:3]
answer = {"why": ""}
try:
    answer = {"text": str(importlib.import_module(module).__version__), "source": "__version__"}
except BaseException as e:
    answer = {"why": f"{type(e).__name__}: {e}"}
    try:
        from importlib import metadata

        top = module.partition(".")[0]
        names = getattr(metadata, "packages_distributions", dict)().get(top, []) + [module, top]
        for name in names:
            try:
                answer = {"text": metadata.version(name), "source": "metadata"}
                break
            except metadata.PackageNotFoundError:
                pass
    except BaseException as e:
        answer = {"why": f"{type(e).__name__}: {e}"}
sys.stdout.flush()
sys.stderr.flush()
os.write(1, ("\n" + mark + json.dumps(answer) + "\n").encode())
os._exit(0)
