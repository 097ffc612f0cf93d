"""Writes the synchronous half of the package from the asynchronous one, so that the two cannot differ.

python scripts/halves.py           writes src/ltm_live/_sync
python scripts/halves.py --check   fails if it is not up to date
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "ltm_live"
#: What is written by hand in both halves: how bytes travel, and what runs in the background.
BY_HAND = {"__init__.py", "transport.py", "text.py"}

REPLACEMENTS = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\b__a(iter|next|enter|exit)__\b", r"__\1__"),
    (r"\bAsync(?=[A-Z])", ""),
]


def synchronous(text: str) -> str:
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    head, _, rest = text.partition("\n")
    return f"{head}\n\n# Written by scripts/halves.py from the file of this name in _async. Change that one.\n{rest}"


def formatted(text: str, name: str) -> str:
    for command in (["check", "--fix", "--quiet", "--select", "I"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(SOURCE / "_sync" / name), "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> int:
    stale = []
    for path in sorted((SOURCE / "_async").glob("*.py")):
        if path.name in BY_HAND:
            continue
        target = SOURCE / "_sync" / path.name
        text = formatted(synchronous(path.read_text()), path.name)
        if not target.exists() or target.read_text() != text:
            stale.append(target.name)
            if "--check" not in sys.argv:
                target.write_text(text)
    if "--check" in sys.argv and stale:
        print(f"not up to date: {', '.join(stale)}; run python scripts/halves.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
