"""Money: whole numbers of pico-dollars, so that every sum is exact."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

from runledger.errors import InvalidArgument

_HIGHEST: Final = Decimal(10**6)


def pico_per_token(price: str) -> int:
    """Return a price in pico-dollars per token, rounded once, half to even.

    price: US dollars per million tokens as decimal text, 0 to 1,000,000.

    Raises:
        InvalidArgument: for any other text.
    """
    try:
        number = Decimal(price)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= _HIGHEST:
        raise InvalidArgument(
            f"price: expected US dollars per million tokens, 0 to 1,000,000, found {price!r:.40}"
        )
    return int((number * 10**6).to_integral_value(ROUND_HALF_EVEN))


def usd_per_million(pico: int) -> Decimal:
    """Return a price in US dollars per million tokens, exactly.

    pico: the price in pico-dollars per token.
    """
    return Decimal(pico).scaleb(-6)
