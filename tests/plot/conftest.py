"""Makes `studies.py` and `blocks.py` importable: pytest's importlib mode puts no folder on the path."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

for name in ("blocks", "studies"):
    if name not in sys.modules:
        spec = spec_from_file_location(name, Path(__file__).parents[1] / "report" / f"{name}.py")
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
