"""Packs the program ltm into a wheel (PEP 427). The same input gives the same file.

Usage: wheel.py VERSION TAG PROGRAM FOLDER
"""

import base64
import hashlib
import os
import pathlib
import sys
import time
import zipfile

version, tag, program, folder = sys.argv[1:]
here = pathlib.Path(__file__).parent
root = here.parents[2]
info = f"ltm_live_server-{version}.dist-info"
# A wheel names one tag per line, its file name all of them at once.
python, abi, platforms = tag.split("-")
tags = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
files = {
    "ltm_live_server/__init__.py": (here / "ltm_live_server.py").read_bytes(),
    "ltm_live_server/__main__.py": b"from ltm_live_server import main\n\nmain()\n",
    "ltm_live_server/bin/ltm": pathlib.Path(program).read_bytes(),
    f"{info}/METADATA": (here / "METADATA").read_text().replace("@VERSION@", version).encode(),
    f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: ltm-live\nRoot-Is-Purelib: false\n{tags}".encode(),
    f"{info}/entry_points.txt": b"[console_scripts]\n"
    + b"".join(f"{name} = ltm_live_server:main\n".encode() for name in ("ltm", "ltm-live", "ltm-live-server")),
    **{
        f"{info}/licenses/{path.name}": path.read_bytes()
        for path in [root / "LICENSE-APACHE", root / "LICENSE-MIT", root / "target/dist-work/licences/THIRD-PARTY"]
    },
}
record = "".join(
    f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
    for name, data in files.items()
)
files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()

when = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
with zipfile.ZipFile(pathlib.Path(folder, f"ltm_live_server-{version}-{tag}.whl"), "w") as wheel:
    for name, data in files.items():
        entry = zipfile.ZipInfo(name, when)
        entry.external_attr = (0o100755 if name.endswith("bin/ltm") else 0o100644) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        wheel.writestr(entry, data, compresslevel=9)
