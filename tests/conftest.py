"""What tests of several folders share."""

import pytest


@pytest.fixture(scope="module")
def browser():
    """One for the tests of a file, which open pages of their own; while it runs, nothing else may run an event loop."""
    from tests import chromium  # older versions of pytest find `tests` only after this file

    with chromium.launched() as found:
        yield found
