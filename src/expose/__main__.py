"""``python -m expose``: the same as the command ``expose``."""

from expose.cli import main

main()
