"""What several tests of the zoo share."""

import jaxtyping
import pytest


@pytest.fixture
def unchecked():
    """Types unchecked, as for a user, so that our own sentence is what a wrong value meets."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
