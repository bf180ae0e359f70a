"""The command line: ``expose fit``, ``expose score``, ``expose report`` and ``expose demo``."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the entry point named ``expose``."""
    from expose.cli.app import app

    app(prog_name="expose")
