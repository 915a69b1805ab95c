"""What tests of several folders share."""

import pytest
from tests import chromium


@pytest.fixture(scope="module")
def browser():
    """One for the tests of a file, which open pages of their own; while it runs, nothing else may run an event loop."""
    with chromium.launched() as found:
        yield found
