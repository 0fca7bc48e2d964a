"""Stored objects as the API returns them: without private keys, with `expand` applied."""

from collections.abc import Sequence

from payouts.sandbox.refusal import invalid
from payouts.sandbox.store import Object
from payouts.sandbox.world import World

EXPANDABLE = frozenset(
    (
        "account",
        "balance_transaction",
        "charge",
        "customer",
        "destination",
        "destination_payment",
        "failure_balance_transaction",
        "latest_charge",
        "payment_intent",
        "payment_method",
        "product",
        "source",
        "source_transaction",
        "source_transfer",
        "transfer",
    )
)
"""Keys whose id `expand` replaces with the object (docs.stripe.com/expand)."""

INCLUDABLE = frozenset(("line_items", "refunds"))
"""Lists that are shown only when `expand` names them."""

MAX_DEPTH = 4


def rendered(world: World, body: Object, expand: Sequence[str] = ()) -> Object:
    """The object with these paths expanded. Raises Refusal."""
    shown = {key: value for key, value in body.items() if not key.startswith("_")}
    if body.get("object") == "balance_transaction":
        pending = body["available_on"] > world.now()
        shown["status"] = "pending" if pending else "available"
    for path in expand:
        if path.count(".") >= MAX_DEPTH:
            raise invalid("You cannot expand more than 4 levels of a property.", "expand")
        _expand(world, body, shown, path)
    return shown


def rendered_list(world: World, page: Object, expand: Sequence[str]) -> Object:
    """A list whose items are expanded by the paths that begin with `data.`."""
    paths = [path.removeprefix("data.") for path in expand]
    return page | {"data": [rendered(world, item, paths) for item in page["data"]]}


def _expand(world: World, body: Object, shown: Object, path: str) -> None:
    name, _, rest = path.partition(".")
    if name in INCLUDABLE and f"_{name}" in body:
        shown[name] = body[f"_{name}"]
    value = shown.get(name)
    if isinstance(value, dict):
        below = [rest] if rest else []
        expand = rendered_list if value.get("object") == "list" else rendered
        shown[name] = expand(world, value, below)
    elif isinstance(value, str) and name in EXPANDABLE:
        found = world.store.find(value)
        shown[name] = value if found is None else rendered(world, found, [rest] if rest else [])
    elif name not in EXPANDABLE and name not in INCLUDABLE:
        raise invalid(f"This property cannot be expanded ({name}).", "expand[]")
