"""Checks a bill of materials: it fits CycloneDX's schema, and names each package that Cargo says is in the program.

check.py BOM PACKAGES, where PACKAGES holds a line `name version` for each.
"""

import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

bom, packages = (pathlib.Path(name).read_text() for name in sys.argv[1:])
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(bom)
if error is not None:
    sys.exit(f"{sys.argv[1]} does not fit the schema: {error}")

content = json.loads(bom)
listed = [*content["components"], content["metadata"]["component"]]
named = {f"{part['name']} {part['version']}" for part in listed}
wanted = set(packages.split("\n")) - {""}
if not wanted or wanted - named:
    sys.exit(f"{sys.argv[1]} lacks {sorted(wanted - named) or 'everything'}")
if "file:///" in bom.replace("file:///ltm-live/", ""):
    sys.exit(f"{sys.argv[1]} holds a path of this machine")
print(f"sbom: {sys.argv[1]}: {len(named)} components")
