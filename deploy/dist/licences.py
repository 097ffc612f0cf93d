"""Prints the licences of all libraries that are compiled into the programs, each text once.

Usage: licences.py TARGET
"""

import json
import pathlib
import subprocess
import sys

NAMES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True).stdout


target = sys.argv[1]
tree = cargo(
    *["tree", "--locked", "--target", target, "--edges", "normal", "--prefix", "none", "--format", "{p}"],
    *["--package", "ltm-api", "--package", "ltm-gateway", "--package", "ltm-cli"],
)
linked = {tuple(line.replace(" v", " ").split()[:2]) for line in tree.splitlines() if line}
metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))

texts: dict[str, list[str]] = {}
for package in sorted(metadata["packages"], key=lambda it: (it["name"], it["version"])):
    if package["source"] is None or (package["name"], package["version"]) not in linked:
        continue
    folder = pathlib.Path(package["manifest_path"]).parent
    found = sorted(path for path in folder.iterdir() if path.is_file() and path.name.upper().startswith(NAMES))
    who = f"{package['name']} {package['version']} ({package['license'] or 'see below'})"
    for text in [path.read_text(errors="replace").strip() for path in found] or ["No licence file; see its name above."]:
        texts.setdefault(text, []).append(who)

for text, packages in texts.items():
    print("=" * 80, *packages, "-" * 80, text, sep="\n")
