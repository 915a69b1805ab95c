"""The folder of these tests is on the path: they share what they make by hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
