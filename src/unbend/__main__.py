"""`python -m unbend`, and `torchrun … -m unbend`."""

import os
import sys

# Python puts the working directory first on its path for `-m`: a `statistics.py` there would be imported by the first
# library that asks for that. The user's code is found without it: MODEL and DATA say where it lies.
if __name__ == "__main__" and sys.path and sys.path[0] in ("", os.getcwd()) and not sys.flags.safe_path:  # noqa: PTH109
    del sys.path[0]

from unbend.cli import main

if __name__ == "__main__":
    main()
