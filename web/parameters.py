"""What parameters of the API mean that mean the same in every operation which has them."""

from typing import Any, Final

MEANINGS: Final = {
    **{f"{what}_id": f"{article} {what}'s ID" for article, what in (
        ("a", "room"), ("a", "recording"), ("a", "tip"), ("an", "order"), ("an", "edit"),
        ("a", "group"), ("a", "user"),
    )},
    "participant_id": "the ID of somebody's place in the room, or of their track",
    "run_id": "the ID of one listening of a model to the recording",
    "key_id": "an API key's ID: not the key itself",
    "endpoint_id": "a webhook endpoint's ID",
    "host_id": "a user's ID: only rooms of theirs",
    "external_user_id": "what the platform calls its user",
    "provider": "the name of a sign-in provider, as the settings have it",
    "code": "the provider's answer: good once, for us",
    "extension": "the format of the file",
    "month": "`YYYY-MM`, in UTC",
    "after": "`next` of the page before; without it, from the beginning",
    "before": "`next` of the page before, which ended there; without it, from the newest",
    "limit": "at most so many",
    "room": "a room's ID: inside that one alone",
    "topic": "only rooms of this topic",
    "sort": "what fits best first, or the newest recordings",
    "role": "only those who have it",
    "hand_raised": "only those who do, in the order in which they did, or only those who don't",
    "present": "only those who are in the room now",
    "last-event-id": "the number of the last event that was seen, as browsers send it when they "
    "connect again; counts before `after`",
    "stripe-signature": "Stripe's, over the body and the time",
}  # fmt: skip


def describe(operation: dict[str, Any]) -> None:
    """Each parameter of the document's operation that says nothing of its own."""
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in MEANINGS:
            parameter.setdefault("description", MEANINGS[parameter["name"]])
