"""Passwords: argon2id, off the event loop, with OWASP's parameters (19 MiB, two passes, one lane).

RFC 9106's second choice costs eight times the processor time, on machines that mix live audio
beside it. Only few hashes run at once and the rest wait in line, so that a flood of sign-ins
costs time, not the machine's memory. Raising a parameter renews hashes as people sign in.
"""

import asyncio
import functools
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import Invalid

MIN_LENGTH = 10
MAX_LENGTH = 256
PARALLEL_HASHES = 2

T = TypeVar("T")

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_threads = ThreadPoolExecutor(PARALLEL_HASHES, thread_name_prefix="argon2")

_COMMON_TEXT = """
1234567890 12345678910 0123456789 9876543210 0987654321 1234512345 1122334455 1111122222
123456789a a123456789 123456789q q123456789 1q2w3e4r5t 1qaz2wsx3edc zaq12wsxcde3 q1w2e3r4t5
q1w2e3r4t5y6 1q2w3e4r5t6y qwertyuiop qwertyuiop123 qwertyuiop1 qwerty123456 qwerty12345
qwerty1234 1234qwerasdf asdfghjkl1 asdfghjkl123 zxcvbnm123 asdfghjkl; qazwsxedcrfv qazwsxedc1
password10 password12 password123 password1234 password12345 password123456 password01
password11 passw0rd123 p@ssw0rd123 p@ssword123 p@ssword1234 mypassword mypassword1 mypassword123
yourpassword passwordpassword changeme123 changeme1234 changemenow letmein123 letmein1234
letmeinnow welcome123 welcome1234 welcome2024 welcome2025 welcome2026 iloveyou12 iloveyou123
iloveyou1234 iloveyouforever ilovejesus administrator administrator1 admin12345 admin123456
adminadmin admin12345678 rootroot123 superman123 batman12345 football123 baseball123 basketball
basketball1 princess123 sunshine123 dragon12345 monkey12345 master12345 michael123 charlie123
liverpool1 liverpool123 manchester manchester1 california abcdefghij abcdefghijk abcd123456
abc123456789 abcde12345 a1b2c3d4e5 a1s2d3f4g5 trustno1trustno1 correcthorsebatterystaple
test123456 testtest123 testing123 testing1234 secret1234 secret12345 computer123 internet123
pokemon123 starwars123 whatever123 summer2025 winter2025 summer2026 winter2026 spring2026
autumn2026 encore1234 encoreencore
"""
_COMMON = frozenset(_COMMON_TEXT.split())


class PasswordUnfit(Invalid):
    code = "password_unfit"
    title = "Choose another password: 10 to 256 characters, none of the very common ones"


def check_password(password: str, *, email: str = "", display_name: str = "") -> None:
    """Raises PasswordUnfit for what a guesser tries first (NIST SP 800-63B, 3.1.1.2)."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PasswordUnfit(f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")
    folded = password.casefold()
    personal = {email.casefold(), email.partition("@")[0].casefold(), display_name.casefold()}
    if folded in _COMMON or folded in personal or len(set(folded)) < 4:
        raise PasswordUnfit("this password is among the first that guessers try")


async def hash_password(password: str) -> str:
    """The argon2id hash in PHC form."""
    return await _in_thread(functools.partial(_hasher.hash, _bytes(password)))


async def verify_password(stored: str | None, password: str) -> bool:
    """False also where nothing is stored, after the same work, so that time tells nothing."""
    matches = await _in_thread(functools.partial(_matches, stored, _bytes(password)))
    return matches and stored is not None


def needs_rehash(stored: str) -> bool:
    """True when `stored` was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _matches(stored: str | None, password: bytes) -> bool:
    try:
        return _hasher.verify(stored or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    """The same characters typed on another keyboard are the same password (NFKC)."""
    return unicodedata.normalize("NFKC", password[: MAX_LENGTH + 1]).encode(errors="replace")


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_bytes(16))


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
