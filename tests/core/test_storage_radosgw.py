"""The contract over a real S3 service, which checks signatures and conditions as Amazon's does."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import SecretStr

from core.storage import ObjectStore, StoreUnavailable, open_store
from core.storage.s3 import S3Store
from tests.core.radosgw import radosgw, why_not
from tests.core.storage_contract import StoreContract
from tests.core.test_storage_s3 import BUCKET, bucket_settings, in_parts

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("radosgw")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with (
        TemporaryDirectory(prefix="radosgw-") as folder,
        radosgw(Path(folder), access_key="test", secret_key="testtesttest") as url,
    ):
        store = open_store(bucket_settings(url))
        assert isinstance(store, S3Store)
        store._client.create_bucket(Bucket=BUCKET)
        yield url


@pytest.mark.timeout(300)
class TestRadosgw(StoreContract):
    @pytest.fixture
    def store(self, endpoint: str) -> ObjectStore:
        return open_store(bucket_settings(endpoint))

    async def test_a_wrong_secret_is_refused(self, endpoint: str) -> None:
        wrong = bucket_settings(endpoint, s3_secret_access_key=SecretStr("wrong"))
        with pytest.raises(StoreUnavailable, match="SignatureDoesNotMatch"):
            await open_store(wrong).get("a")


@pytest.mark.timeout(300)
class TestRadosgwInParts(StoreContract):
    @pytest.fixture
    def store(self, endpoint: str) -> ObjectStore:
        return in_parts(endpoint)
