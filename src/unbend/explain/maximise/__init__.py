"""Feature maximisation: the input that a unit, channel, direction or class answers to most.

In: a model and data. Out: a `Maximisation`. Must not know drawing, HTML, argv.
"""
