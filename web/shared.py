"""What every machine of an installation has to be told alike, and is refused without."""

from core.errors import Problem
from core.settings import Settings


class DatabaseUrlMissing(Problem):
    status = 503
    code = "database_url_missing"
    title = "Set DATABASE_URL; only `encore up` brings its own PostgreSQL"


class NotShared(Problem):
    status = 503
    code = "not_shared"
    title = "Parts of one installation share a secret key and an object store"


def check_shared(settings: Settings) -> None:
    """What the parts of one installation must be told alike, wherever they run.

    Made up on each machine it would be accepted, and then one refuses the other's speakers and
    looks for its recordings in another place. Raises DatabaseUrlMissing, NotShared.
    """
    if settings.database_url is None:
        raise DatabaseUrlMissing
    missing = [
        name
        for name, value in (
            ("ENCORE_SECRET_KEY", settings.secret_key),
            ("ENCORE_STORAGE_URL", settings.storage_url),
        )
        if value is None
    ]
    if missing:
        raise NotShared(
            f"set {' and '.join(missing)}: every machine of an installation has the same secret "
            "key and the same object store (s3://bucket/prefix, or file:///folder that all share)"
        )
