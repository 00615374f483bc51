"""How much one visitor, one address and one channel may ask."""

import time

from assistants.errors import TooManyQuestions
from assistants.models import Channel
from web.rate_limits.counter import increment

VISITOR_PER_MINUTE, VISITOR_PER_DAY = 10, 100
ADDRESS_PER_MINUTE, ADDRESS_PER_DAY = 60, 2_000
SPEECH_PER_MINUTE = 5  # Times that one reply may be tried to speak.
MINUTE, DAY = 60, 86_400


def admit(channel: Channel, visitor: str, address: str | None) -> None:
    """Count this question, of a visitor and an address where they are known. Raises
    TooManyQuestions. A cache that is away stops nobody."""
    if visitor:
        _count(f"visitor:{visitor}", VISITOR_PER_MINUTE, MINUTE)
        _count(f"visitor:{visitor}", VISITOR_PER_DAY, DAY)
    if address:
        _count(f"address:{address}", ADDRESS_PER_MINUTE, MINUTE)
        _count(f"address:{channel.pk}:{address}", ADDRESS_PER_DAY, DAY)
    _count(f"channel:{channel.pk}", channel.daily_limit, DAY)


def admit_speech(token: str) -> None:
    """Count one try to speak a reply. Raises TooManyQuestions."""
    _count(f"speech:{token}", SPEECH_PER_MINUTE, MINUTE)


def _count(name: str, limit: int, seconds: int) -> None:
    key = f"assistants:{name}:{seconds}:{int(time.time() // seconds)}"
    if increment(key, 2 * seconds) > limit:
        raise TooManyQuestions
