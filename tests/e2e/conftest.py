from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack, running_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One Encore for all end-to-end tests of this test worker; each makes its own room."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
