"""Makes `explained.py` importable: pytest's importlib mode puts no folder on the path."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if "explained" not in sys.modules:
    spec = spec_from_file_location("explained", Path(__file__).with_name("explained.py"))
    sys.modules["explained"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["explained"])
