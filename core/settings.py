"""Every setting, from the environment (`ENCORE_...`) or `.env`; secrets are masked when shown."""

import functools
import json
import os
import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from core.addresses import http_url, is_wildcard, split_address
from core.errors import Problem
from core.money_settings import MoneySettings

_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9.\-\[\]:]*[A-Za-z0-9\]](:\*)?", re.ASCII)
_TURN_URL = re.compile(r"turns?:[A-Za-z0-9.\-\[\]:]+(\?transport=(udp|tcp))?", re.ASCII)


class PublicUrlMissing(Problem):
    status = 503
    code = "public_url_missing"
    title = "Set the public URL of what listens on all addresses"


class TurnSecretMissing(Problem):
    status = 503
    code = "turn_secret_missing"
    title = "A relay is set without the secret that makes credentials for it"


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class OidcProvider(BaseModel):
    """Where people may sign in besides here (OpenID Connect)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern="^[a-z0-9-]{1,40}$", description="in our URLs")
    title: str = Field("", max_length=80, description="on the button; the name when absent")
    issuer: str = Field(pattern="^https?://", description="https, except on this machine")
    client_id: str
    client_secret: SecretStr


def _several(given: object) -> object:
    """The parts of `a, b`; a JSON list is one already."""
    if not isinstance(given, str):
        return given
    if given.lstrip().startswith(('["', "[]")):
        return json.loads(given)
    return tuple(part.strip() for part in given.split(",") if part.strip())


Port = Annotated[int, Field(ge=0, le=65535)]
Several = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_several)]


class Settings(MoneySettings):
    model_config = SettingsConfigDict(
        env_prefix="ENCORE_", env_file=".env", extra="ignore", frozen=True
    )

    environment: Environment = Field(
        Environment.DEVELOPMENT, description="production: only confirmed addresses open rooms"
    )
    data_dir: Path = Field(Path(".encore"), description="all state on this disk")
    secret_key: SecretStr | None = Field(
        None, description="signs tokens and capabilities; made once in data_dir when absent"
    )

    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("ENCORE_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL 15 or newer; embedded when absent",
    )

    web_host: str = Field("127.0.0.1", description="where API and pages listen")
    web_port: Port = Field(8000, description="TCP")
    web_url: str | None = Field(None, description="public base URL of API and pages")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description='networks whose X-Forwarded-For is believed, as JSON: ["10.0.0.0/8"]'
    )

    oidc: tuple[OidcProvider, ...] = Field(
        (), description="JSON list of {name, issuer, client_id, client_secret, title?}"
    )

    edge_host: str = Field("127.0.0.1", description="where HLS is served")
    edge_port: Port = Field(8001, description="TCP")
    edge_url: str | None = Field(None, description="public base URL of HLS (a CDN in production)")

    ingest_host: str = Field("127.0.0.1", description="where WHIP listens")
    ingest_port: Port = Field(8002, description="TCP")
    ingest_url: str | None = Field(None, description="public URL of this worker")
    ingest_origins: Several = Field(
        (),
        description="origins of all workers, by commas, for the pages' Content-Security-Policy: "
        "https://*.ingest.example.org; that of ingest_url when absent",
    )
    ingest_udp_host: str = Field(
        "127.0.0.1", description="where speakers' media arrives; :: takes IPv4 too"
    )
    ingest_udp_port: Port = Field(8003, description="UDP")
    ingest_public_address: Several = Field(
        (),
        description="addresses that speakers reach the UDP port at, by commas, each with :port "
        "where NAT maps another one; ingest_udp_host when absent",
    )

    turn_urls: Several = Field(
        (), description="turn: and turns: URLs of a relay for speakers without UDP, by commas"
    )
    turn_secret: SecretStr | None = Field(
        None, description="shared with the relay (coturn: static-auth-secret)"
    )

    worker_alive_seconds: float = Field(
        15,
        ge=1,
        description="another worker takes the rooms of one that gave no sign for so long",
    )

    storage_url: str | None = Field(
        None,
        description="file:///folder (which exists) or s3://bucket/prefix; else data_dir/objects",
    )
    s3_endpoint_url: str | None = Field(None, description="of a service that is not Amazon's")
    s3_region: str = Field("us-east-1", description="of the bucket")
    s3_access_key_id: SecretStr | None = Field(None, description="boto3's own ways when absent")
    s3_secret_access_key: SecretStr | None = Field(None, description="the same")

    transcripts: bool = Field(True, description="transcribe every recording once it has ended")
    transcribe_model: str = Field(
        "bundled",
        min_length=1,
        description="bundled (Whisper base), a name on the hub (large-v3-turbo), or a folder",
    )
    caption_model: str | None = Field(
        None, description="for captions while a room is live; transcribe_model when absent"
    )
    captions: bool = Field(True, description="on or off: captions of live rooms on this worker")
    transcribe_choices: Several = Field(
        (),
        description="models that hosts may ask for besides, by commas; each is loaded, or fetched",
    )
    transcribe_device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto: a GPU where there is one; cuda:1 is the second",
    )
    transcribe_compute_type: str = Field(
        "auto", description="auto: int8 on a CPU, float16 on a GPU; else as CTranslate2 names it"
    )
    transcribe_threads: int = Field(
        1, ge=1, description="of the engine on a CPU; more finish a room sooner at a higher cost"
    )
    models_dir: Path | None = Field(
        None, description="where models lie; the user's cache folder when absent"
    )
    transcribe_at_once: int = Field(
        1, ge=1, description="final transcripts at once on this machine, or on each GPU of it"
    )
    transcribe_gpus: Several = Field(
        (), description="the GPUs that transcribe, by commas: cuda:0, cuda:1; one when absent"
    )
    job_takeover_seconds: float = Field(
        15, ge=1, description="another worker takes the job of one that gave no sign for so long"
    )

    mail_url: SecretStr | None = Field(
        None, description="smtp://user:password@host:port; a folder of .eml files when absent"
    )
    mail_from: str = Field("Encore <no-reply@localhost>", description="sender of all mail")

    abandoned_room_minutes: int = Field(
        30, ge=0, description="a live room that nobody is connected to ends after this; 0: never"
    )

    allow_private_webhooks: bool = Field(
        False, description="let webhook endpoints be on private addresses (a test, one machine)"
    )

    metrics_token: SecretStr | None = Field(
        None, description="bearer that /metrics asks for; loopback callers only when absent"
    )
    metrics_host: str = Field(
        "127.0.0.1", description="where processes without HTTP serve /metrics"
    )
    work_metrics_port: Port | None = Field(None, description="no /metrics there when absent")
    transcribe_metrics_port: Port | None = Field(None, description="no /metrics there when absent")
    package_metrics_port: Port | None = Field(None, description="no /metrics there when absent")
    captions_metrics_port: Port | None = Field(None, description="no /metrics there when absent")

    log_format: str = Field("text", pattern="^(text|json)$", description="json: with access lines")
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level"
    )

    @field_validator("ingest_public_address")
    @classmethod
    def _addresses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for address in given:
            split_address(address, 0)
        return given

    @field_validator("transcribe_gpus")
    @classmethod
    def _gpus(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for device in given:
            if not re.fullmatch(r"cuda:\d+", device, re.ASCII):
                raise ValueError(f"{device} is not of the form cuda:0")
        return given

    @field_validator("ingest_origins")
    @classmethod
    def _origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        """A host-source of CSP without a path; what else a header could be made of is refused."""
        for origin in given:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is not of the form https://*.ingest.example.org")
        return given

    @field_validator("turn_urls")
    @classmethod
    def _relays(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        """RFC 7065, 3.1; what else a header could be made of is refused here."""
        for url in given:
            if not _TURN_URL.fullmatch(url):
                raise ValueError(f"{url} is not of the form turn:host:port?transport=tcp")
        return given

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        """Raises PublicUrlMissing: a wildcard address says nothing of where clients get to."""
        for name, host, url in (
            ("WEB", self.web_host, self.web_url),
            ("EDGE", self.edge_host, self.edge_url),
            ("INGEST", self.ingest_host, self.ingest_url),
        ):
            if not url and is_wildcard(host):
                raise PublicUrlMissing(
                    f"ENCORE_{name}_HOST is {host or 'empty'}: set ENCORE_{name}_URL to the URL "
                    "that clients reach it at, like https://audio.example.org"
                )
        if self.turn_urls and self.turn_secret is None:
            raise TurnSecretMissing(
                "ENCORE_TURN_URLS is set: set ENCORE_TURN_SECRET to the secret that the relay has."
            )
        return self

    @property
    def public_web_url(self) -> str:
        return (self.web_url or http_url(self.web_host, self.web_port)).rstrip("/")

    @property
    def public_edge_url(self) -> str:
        return (self.edge_url or http_url(self.edge_host, self.edge_port)).rstrip("/")

    @property
    def public_ingest_url(self) -> str:
        return (self.ingest_url or http_url(self.ingest_host, self.ingest_port)).rstrip("/")

    @property
    def models_folder(self) -> Path:
        """Outside data_dir: one copy of a model does for every installation and test of a user."""
        if self.models_dir is not None:
            return self.models_dir
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(cache).expanduser() / "encore" / "models"

    @property
    def object_store_url(self) -> str:
        return self.storage_url or f"file://{(self.data_dir / 'objects').absolute()}"


@functools.cache
def get_settings() -> Settings:
    return Settings()
