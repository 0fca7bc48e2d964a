"""The installation's secret and the keys derived from it, one per purpose."""

import functools
import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.durable import create_once
from core.errors import Unavailable
from core.settings import Settings

MIN_SECRET_BYTES = 32


class SecretTooShort(Unavailable):
    """Every room token is signed with it: who holds one could try short secrets at home."""

    code = "secret_too_short"
    title = f"ENCORE_SECRET_KEY must have {MIN_SECRET_BYTES} random characters or more"


def load_secret(settings: Settings) -> bytes:
    """`ENCORE_SECRET_KEY`, or the one made at first start in `data_dir` (mode 0600).

    Several processes may start at once: the first to link its file wins, all read that one.
    Raises SecretTooShort.
    """
    if settings.secret_key is not None:
        secret = settings.secret_key.get_secret_value().encode()
        if len(secret) < MIN_SECRET_BYTES:
            raise SecretTooShort
        return secret
    path = settings.data_dir / "secret_key"
    if not path.exists():
        create_once(path, secrets.token_urlsafe(MIN_SECRET_BYTES).encode())
    return path.read_text().strip().encode()


@functools.lru_cache(maxsize=64)
def derive_key(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose (`room-token`, `capability`, ...): HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)
