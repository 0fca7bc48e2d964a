"""The Stripe stand-in of an installation without a key of Stripe's: who runs it, with which keys.

Whoever reads the installation's secret gets to the same keys: the processes, the command line.
"""

from pydantic import SecretStr

from core.addresses import http_url
from core.keys import derive_key, load_secret
from core.settings import Environment, Settings

LOOPBACK = "127.0.0.1"


def wants_sandbox(settings: Settings) -> bool:
    """Never in production: its cards cost nothing, and its buyers would be real."""
    if not settings.sandbox or settings.environment == Environment.PRODUCTION:
        return False
    return settings.stripe_key is None


def with_sandbox(settings: Settings) -> Settings:
    """The settings that lead to this machine's sandbox. Raises SecretTooShort."""
    secret = load_secret(settings)

    def made(purpose: str) -> str:
        return derive_key(secret, f"stripe-sandbox-{purpose}").hex()

    return settings.model_copy(
        update={
            "stripe_key": SecretStr(f"sk_test_{made('key')}"),
            "stripe_base": http_url(LOOPBACK, settings.sandbox_port),
            "stripe_webhook_secrets": SecretStr(
                f"whsec_{made('platform')},whsec_{made('connect')}"
            ),
        }
    )
