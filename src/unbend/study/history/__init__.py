"""The history of a training run: plain values, and what they say about the run.

Knows neither models nor files.
"""
