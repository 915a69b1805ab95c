"""Where a training run is watched: a loop of your own, and the trainers and trackers of other libraries.

Each is a thin shell around `study.watch.Watch`; no arithmetic here. A library is imported by the file of its name only.
"""
