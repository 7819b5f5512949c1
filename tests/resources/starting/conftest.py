"""A Worker whose builds the tests start."""

import pytest

from tests.resources.starting.support import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()
