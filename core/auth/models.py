"""Tenants, the people in them, and what they sign in with.

Secrets are stored as SHA-256 of 256 random bits (keys, sessions, mail tokens) or as
argon2id (passwords); none can be read back.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, text_enum
from core.ids import uuid7


class Platform(Base):
    """A tenant: an application that embeds Encore, or Encore's own site."""

    __tablename__ = "platform"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    slug: Mapped[str] = mapped_column(sa.Text, unique=True)
    name: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class User(Base):
    """A person in one platform: with an account of ours, or known by the platform's own id."""

    __tablename__ = "user_account"
    __table_args__ = (
        sa.UniqueConstraint("platform_id", "external_user_id"),
        sa.Index(
            "uq_user_account_platform_id_email_lower",
            "platform_id",
            sa.text("lower(email)"),
            unique=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    external_user_id: Mapped[str | None] = mapped_column(sa.Text)
    display_name: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[str | None] = mapped_column(sa.Text)
    email_verified_at: Mapped[datetime | None]
    password_hash: Mapped[str | None] = mapped_column(sa.Text)
    is_admin: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    disabled_at: Mapped[datetime | None]


class ApiKey(Base):
    """A platform's server: may act for the platform within its scopes."""

    __tablename__ = "api_key"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    secret_sha256: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LoginSession(Base):
    """A signed-in browser or app."""

    __tablename__ = "login_session"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), index=True)
    secret_sha256: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class MailPurpose(StrEnum):
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose, not a password


class MailToken(Base):
    """A link sent by mail, good once."""

    __tablename__ = "mail_token"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), index=True)
    purpose: Mapped[MailPurpose] = mapped_column(text_enum(MailPurpose, "mail_purpose"))
    secret_sha256: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OidcIdentity(Base):
    """A sign-in at an OpenID provider, bound to one user of ours."""

    __tablename__ = "oidc_identity"
    __table_args__ = (sa.UniqueConstraint("platform_id", "issuer", "subject"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), index=True)
    issuer: Mapped[str] = mapped_column(sa.Text)
    subject: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class RateBucket(Base):
    """Token buckets shared by all web machines (core/ratelimit.py)."""

    __tablename__ = "rate_bucket"

    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    tokens: Mapped[float]
    refilled_at: Mapped[datetime]
