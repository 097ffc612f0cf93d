"""Where the repository is: tests read its pages and data. Tests of an unpacked sdist name it in LTM_REPOSITORY."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(os.environ.get("LTM_REPOSITORY") or Path(__file__).parents[3])
