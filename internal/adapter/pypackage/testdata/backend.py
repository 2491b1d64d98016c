"""A build backend (PEP 660) that needs nothing: pip can install the project for
development with it where there is no network and no setuptools."""
import os, pathlib, re, zipfile


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    root = os.getcwd()
    version = re.search(r'__version__ = "(.*)"', pathlib.Path("receipt_chroma/__init__.py").read_text()).group(1)
    info = f"receipt_chroma-{version}.dist-info"
    files = {
        "receipt_chroma.pth": root + "\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: receipt-chroma\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    name = f"receipt_chroma-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
