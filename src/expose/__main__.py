"""``python -m expose``: the same as the command ``expose``."""

from expose.cli import main

if __name__ == "__main__":  # a process that is spawned imports this file again
    main()
