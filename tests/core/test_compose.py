"""compose.yaml against the code: it names settings and processes that exist, and no secrets."""

import re
from pathlib import Path

from core.settings import Settings
from web.processes import PROCESSES

ROOT = Path(__file__).parent.parent.parent
COMPOSE = (ROOT / "compose.yaml").read_text()


def test_every_setting_exists() -> None:
    named = {name.lower() for name in re.findall(r"^\s+ENCORE_([A-Z0-9_]+):", COMPOSE, re.M)}
    assert named
    assert named <= set(Settings.model_fields)


def test_every_process_exists() -> None:
    """But the Stripe stand-in, which is for one machine."""
    assert set(re.findall(r"command: process (\w+)", COMPOSE)) == set(PROCESSES) - {"stripe"}


def test_no_secret_is_written_down() -> None:
    secrets = re.findall(r"^\s+\w*(?:PASSWORD|SECRET\w*|TOKEN|MAIL_URL):(.*)$", COMPOSE, re.M)
    assert len(secrets) >= 4
    assert all(value.strip().startswith("${") for value in secrets)


def test_the_image_gets_every_package_and_the_migrations() -> None:
    wanted = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    kept = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M))
    assert wanted | {"migrations", "alembic.ini", "requirements.lock"} <= kept
