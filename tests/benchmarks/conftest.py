"""Benchmarks are scripts, no package. Their folder comes last on the path, as one of them is named `requests`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
