"""What tests of several folders share."""

import pytest
from tests import chromium


@pytest.fixture(scope="module")
def tab():
    """One for the tests of a file; while its browser runs, nothing else may run an event loop."""
    with chromium.launched() as browser:
        yield chromium.Tab(browser)


@pytest.fixture
def visit(tab):
    """Opens a page; at the end nothing was fetched and nothing was complained about."""
    yield tab.visit
    tab.leave()
