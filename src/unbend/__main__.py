"""`python -m unbend`, `torchrun … -m unbend`, and the console script."""

import os
import sys

# Python puts the working directory first on its path for `-m`: a `statistics.py` there would be imported by the first
# library that asks for that. The user's code is found without it: MODEL and DATA say where it lies.
if __name__ == "__main__" and sys.path and sys.path[0] in ("", os.getcwd()) and not sys.flags.safe_path:  # noqa: PTH109  pathlib would be imported for it
    del sys.path[0]


def start() -> None:
    """The command line; Ctrl-C while it is still being imported ends as it does later."""
    try:
        from unbend._garbage import put_off  # noqa: PLC0415  likewise

        put_off()
        from unbend.cli import main  # noqa: PLC0415  what takes time is inside the block
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)
    main()


if __name__ == "__main__":
    start()
