"""Settings of callbacks that cannot be: each is refused by name, and no key is repeated."""

from typing import Any

import pytest

from runledger.callbacks import CallbackSettings
from runledger.errors import InvalidArgument


@pytest.mark.parametrize(
    "given",
    [
        {"calendar": 5},
        {"calendar": ("soon",)},
        {"calendar": "5"},
        {"jitter": None},
        {"jitter": "0.1"},
        {"max_in_flight": "5"},
        {"max_in_flight": True},
        {"breaker_seconds": "x"},
        {"closing_seconds": None},
        {"allowed_hosts": "a.example"},
        {"allowed_hosts": (5,)},
        {"allow_http": "no"},
        {"dispatch": None},
        {"thin": 1},
        {"organization_keys": 5},
    ],
    ids=str,
)
def test_a_setting_of_a_wrong_type_is_refused(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InvalidArgument, match=f"^{name}: expected"):
        CallbackSettings(**given)


@pytest.mark.parametrize("keys", [5, (5,), (b"whsec_secret",), "whsec_secret", None])
def test_keys_that_are_no_list_of_texts_are_refused(keys: Any) -> None:
    for given in ({"keys": keys}, {"organization_keys": {"org-a": keys}}):
        with pytest.raises(InvalidArgument, match=r"^keys: expected a list of texts") as refused:
            CallbackSettings(**given)
        assert "secret" not in str(refused.value)
