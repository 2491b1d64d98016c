"""Installs the project in the current directory for development, without pip and without a
network: a path and the metadata in site-packages. It is what "pip install -e ." comes to."""
import os
import pathlib
import re
import shutil
import sysconfig

site = pathlib.Path(sysconfig.get_path("purelib"))
version = re.search(r'__version__ = "(.*)"', pathlib.Path("receipt_chroma/__init__.py").read_text()).group(1)
for old in site.glob("receipt_chroma-*.dist-info"):
    shutil.rmtree(old)
info = site / f"receipt_chroma-{version}.dist-info"
info.mkdir()
(info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: receipt-chroma\nVersion: {version}\n")
(info / "RECORD").write_text(f"receipt_chroma.pth,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
(site / "receipt_chroma.pth").write_text(os.getcwd() + "\n")
