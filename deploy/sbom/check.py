"""Checks a bill of materials: it must match CycloneDX's schema and name every package of the program.

Usage: check.py BOM PACKAGES. PACKAGES is a file with one line `name version` per package, as Cargo lists them.
"""

import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

bom, packages = (pathlib.Path(name).read_text() for name in sys.argv[1:])
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(bom)
if error is not None:
    sys.exit(f"{sys.argv[1]} does not match the schema: {error}")

content = json.loads(bom)
listed = [*content["components"], content["metadata"]["component"]]
named = {f"{part['name']} {part['version']}" for part in listed}
wanted = set(packages.split("\n")) - {""}
if not wanted or wanted - named:
    sys.exit(f"{sys.argv[1]} lacks {sorted(wanted - named) or 'everything'}")
if "file:///" in bom.replace("file:///ltm-live/", ""):
    sys.exit(f"{sys.argv[1]} contains a local path")
print(f"sbom: {sys.argv[1]}: {len(named)} components")
