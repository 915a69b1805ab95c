"""Where compiled code is kept between runs: beside the package, in the user's cache, or for this time only.

In: the environment. Out: `NUMBA_CACHE_DIR`, set before numba is imported, where numba would find no place of its own.
Must not know what is compiled.
"""

import os
import sys
import sysconfig
import tempfile
import warnings
from pathlib import Path


class CacheWarning(UserWarning):
    """Compiled code cannot be kept."""


def find_cache() -> None:
    """Let compiled code go to a temporary folder where no other place can be written; numba does not work without one.

    One folder for every user, so that a second process finds what the first compiled. What somebody else put there
    under that name is not taken.
    """
    package = Path(__file__).parent / "numerics"
    is_set = "NUMBA_CACHE_DIR" in os.environ or "numba" in sys.modules
    if is_set or any(map(_is_writable, (package / "__pycache__", _home_cache()))):
        return
    user = os.getuid() if hasattr(os, "getuid") else "me"
    place = Path(tempfile.gettempdir()) / f"unbend-{user}-{sysconfig.get_python_version()}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and place.stat().st_uid != os.getuid():
            raise PermissionError
    except OSError:
        place = Path(tempfile.mkdtemp(prefix="unbend-"))
    os.environ["NUMBA_CACHE_DIR"] = str(place)
    warnings.warn(
        f"neither {package.parent} nor a home can be written, so compiled code goes to {place}. "
        "Set NUMBA_CACHE_DIR to keep it elsewhere.",
        CacheWarning,
        stacklevel=2,
    )


def _home_cache() -> Path:
    """Where numba keeps its cache when the package cannot be written."""
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser()
    if sys.platform == "darwin":
        return Path("~/Library/Caches").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()


def _is_writable(place: Path) -> bool:
    """Whether a file can be made in that folder, or that folder made; tried, because permissions do not tell all."""
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False
