"""The terminal: commands that put the pieces together and print what came out. No arithmetic here."""

from unbend.cli.main import main

__all__ = ["main"]
