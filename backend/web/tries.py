"""Too many tries at a password or a code, told in minutes."""

import math

from backend.errors import TooManyRequests
from backend.services import Services


class TooManyTries(TooManyRequests):
    code = "too_many_tries"


async def check_tries(services: Services, kind: str, **who: str) -> None:
    """Raises TooManyTries with the minutes to wait."""
    try:
        await services.limits.check(kind, **who)
    except TooManyRequests as error:
        seconds = int(error.values["seconds"])
        raise TooManyTries(seconds=seconds, minutes=math.ceil(seconds / 60)) from error
