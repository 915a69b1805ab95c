"""One file per question: states that stream and add, results that are plain arrays, proofs that verify.

Knows tensors and arrays. Must not know `torch.nn`, hooks, files, pictures or printing.
"""
