"""Checks a bill of materials: it must match CycloneDX's schema and name every package of the program.

Usage: check.py BOM PACKAGES. PACKAGES is a file with one line `name version` per package, as Cargo lists them.
"""

import json
import pathlib
import re
import sys
from urllib.parse import unquote

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

bom, packages = (pathlib.Path(name).read_text() for name in sys.argv[1:])
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(bom)
if error is not None:
    sys.exit(f"{sys.argv[1]} does not match the schema: {error}")

content = json.loads(bom)
listed = [*content["components"], content["metadata"]["component"]]
# The program itself has the name of its binary, and in `purl` that of its package.
package = re.compile("pkg:cargo/([^@]+)@([^?]+)")
named = {" ".join(map(unquote, found.groups())) for part in listed if (found := package.match(part.get("purl", "")))}
wanted = set(packages.split("\n")) - {""}
if not wanted or wanted - named:
    sys.exit(f"{sys.argv[1]} lacks {sorted(wanted - named) or 'everything'}")
if "file:///" in bom.replace("file:///ltm-live/", ""):
    sys.exit(f"{sys.argv[1]} contains a local path")
print(f"sbom: {sys.argv[1]}: {len(named)} components")
