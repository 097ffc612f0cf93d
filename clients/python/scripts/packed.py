"""Checks the sdist and the wheel in a folder: both have the licences and the types, and the wheel has nothing else.

python scripts/packed.py FOLDER
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

LICENCES = {"LICENSE-APACHE", "LICENSE-MIT"}
ROOT = Path(__file__).parents[3]


def main() -> int:
    folder = Path(sys.argv[1])
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    packed = zipfile.ZipFile(wheel)
    names = packed.namelist()
    found = {name.rpartition("/")[2]: name for name in names if "/licenses/" in name}
    assert set(found) == LICENCES, found
    for name in LICENCES:
        assert packed.read(found[name]) == (ROOT / name).read_bytes(), f"{name} differs from that of the repository"
    assert "ltm_live/py.typed" in names
    others = [name for name in names if not name.startswith(("ltm_live/", "ltm_live-"))]
    assert others == [], others
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {*LICENCES, "README.md", "pyproject.toml", "src/ltm_live/py.typed", "tests/test_client.py"}
    assert wanted <= sources, wanted - sources
    print(f"{wheel.name}: {len(names)} files; {sdist.name}: {len(sources)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
