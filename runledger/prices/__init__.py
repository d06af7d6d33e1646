"""What tokens cost: a table of dated prices, how a name finds its row, and exact arithmetic.

Prices are US dollars for a million tokens, as decimal text; a token costs a whole number of
pico-dollars (10⁻¹² USD). An unknown price is unknown, never 0.
"""

from runledger.prices.cells import Cell, cells
from runledger.prices.money import pico_per_token
from runledger.prices.resolution import Named, Resolved, resolve
from runledger.prices.table import Price, PriceTable, shipped

__all__ = [
    "Cell",
    "Named",
    "Price",
    "PriceTable",
    "Resolved",
    "cells",
    "pico_per_token",
    "resolve",
    "shipped",
]
