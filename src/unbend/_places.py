"""Folders in which Debian's packages put data sets: known without importing what reads them."""

from pathlib import Path

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Gzipped IDX files of the package dataset-fashion-mnist."""
MLBENCH = Path("/usr/lib/R/site-library/mlbench/data")
"""The `.rda` files of the package r-cran-mlbench."""
