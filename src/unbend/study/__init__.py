"""The one fold over batches, and what follows from it: studies, findings, comparisons.

Knows capture, zoo, load and numerics. Must not know drawing, HTML or the command line.
"""

from unbend._callable import callable_package

callable_package(__name__, "unbend.study.study:study")
