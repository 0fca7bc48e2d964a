"""How often things may be tried; buckets are shared by all web machines."""

from datetime import timedelta

from core.buckets import Limit

HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)

REGISTER = Limit("register", 30, HOUR)
REGISTER_ADDRESS = Limit("register-email", 5, HOUR)
"""Each attempt mails the address, so this bounds what somebody else can fill a mailbox with."""

SIGN_IN = Limit("sign-in", 60, timedelta(minutes=5))
SIGN_IN_ACCOUNT_HERE = Limit("sign-in-account-here", 10, QUARTER)
"""Per account and client address: the owner elsewhere is not locked out by a guesser."""

SIGN_IN_ACCOUNT = Limit("sign-in-account", 100, HOUR)
"""Per account from everywhere: a botnet's guesses."""

RESET = Limit("reset", 15, HOUR)
RESET_ACCOUNT = Limit("reset-account", 5, HOUR)
MAIL_TOKEN = Limit("mail-token", 30, QUARTER)
PASSWORD_CHANGE = Limit("password-change", 10, QUARTER)
OIDC = Limit("oidc", 60, timedelta(minutes=5))
KEY_MANAGEMENT = Limit("api-keys", 60, timedelta(minutes=1))
ROOM_TOKEN = Limit("room-token", 600, timedelta(minutes=1), lease=5)
"""Room tokens: joining, and minting by a platform's server."""
