"""Makes `studies.py` importable: pytest's importlib mode puts no folder on the path."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if "studies" not in sys.modules:
    spec = spec_from_file_location("studies", Path(__file__).parents[1] / "report" / "studies.py")
    sys.modules["studies"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["studies"])
