"""`python -m ltm_live.flou` brings all LTMs of Flou's database up to date. Run it where Flou's API runs."""

from __future__ import annotations

import os
import sys

from .mirror import mirror


def main() -> int:
    """Brings all LTMs up to date, and says how many there are."""
    # The classes of the LTMs are imported from here, as Flou does.
    sys.path.append(os.getcwd())
    print(f"{mirror().sync_all()} LTMs are up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
