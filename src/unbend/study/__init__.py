"""The one fold over batches, and what follows from it: studies, findings, comparisons.

Knows capture, zoo, load and numerics. Must not know drawing, HTML or the command line.
"""
