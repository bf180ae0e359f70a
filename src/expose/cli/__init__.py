"""The command line: ``expose fit``, ``expose score``, ``expose report`` and ``expose demo``."""

from __future__ import annotations

INTERRUPTED = 130


def main() -> None:
    """Run the command line; the entry point named ``expose``."""
    import os
    import sys

    from expose.cli.streams import ended, prepare

    prepare()
    from expose.cli.app import app

    try:
        app(prog_name="expose")
    except (SystemExit, OSError) as error:
        code = ended(error)
        if code == INTERRUPTED:
            # Threads of Arrow or torch may still run after a Ctrl-C, and abort a process that ends in the usual way.
            os._exit(INTERRUPTED)
        sys.exit(code)
