"""Token usage: the provider's raw numbers, and the disjoint buckets derived from them once.

Providers disagree on what "input" and "output" include, and libraries between the provider and the
caller change it again. `derived` computes them in one place, when a step is recorded and when an
older event is read; all other code uses its result.
"""

from runledger.usage.buckets import (
    BUCKETS,
    COUNTED,
    DERIVED,
    INPUT,
    RULES,
    Buckets,
    Rule,
    Split,
    derived,
    split,
)
from runledger.usage.dialects import Dialect, dialects
from runledger.usage.reported import usage_facts
from runledger.usage.streaming import corrected, with_details

__all__ = [
    "BUCKETS",
    "COUNTED",
    "DERIVED",
    "INPUT",
    "RULES",
    "Buckets",
    "Dialect",
    "Rule",
    "Split",
    "corrected",
    "derived",
    "dialects",
    "split",
    "usage_facts",
    "with_details",
]
