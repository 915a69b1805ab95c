"""What tests of several folders share."""

import jaxtyping
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


@pytest.fixture
def unchecked():
    """Types unchecked, as for a user, so that our own sentence is what a wrong value meets."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
