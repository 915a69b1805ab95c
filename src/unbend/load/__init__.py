"""Models and data from disk."""
