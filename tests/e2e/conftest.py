from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.fleet import Fleet, fleet_database, fleet_in
from tests.e2e.stack import Stack, running_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One Encore for all end-to-end tests of this test worker; each makes its own room."""
    settings = {"ENCORE_SANDBOX": "on", "ENCORE_SWEEP_MINIMUM_MINOR": "1000"}
    with running_stack(tmp_path_factory.mktemp("stack"), settings) as stack:
        yield stack


@pytest.fixture(scope="package")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """For the tests of the xdist group `crash`: each kill finds it whole again."""
    with running_stack(tmp_path_factory.mktemp("crash")) as stack:
        yield stack


@pytest.fixture(scope="session")
async def fleet(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> AsyncIterator[Fleet]:
    """For the tests of the xdist group `fleet`; each begins with `ready`."""
    async with fleet_database(postgres_url) as database:
        with fleet_in(tmp_path_factory.mktemp("fleet"), *database) as fleet:
            yield fleet
