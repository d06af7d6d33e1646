"""The settings of callbacks: keys, payload, allowed addresses, retries, limits."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from runledger.callbacks.signatures import Key, parse_key
from runledger.errors import InvalidArgument
from runledger.outbound import AddressPolicy

CALENDAR: Final = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds to wait before each attempt: ten attempts in 75 hours, as Standard Webhooks publishes."""

_ENVIRONMENT: Final = "RUNLEDGER_CALLBACK_"


@dataclass(frozen=True, kw_only=True)
class CallbackSettings:
    """Every setting of callbacks. Times are seconds.

    `dispatch=False` sends nothing; the settings then only determine which callback_url is accepted.
    All `keys` (whsec_… or whsk_…) sign, so that a receiver may have the old or the next one.
    `organization_keys` replace them for an organization: a receiver that can check an HMAC can also
    make one, so organizations that do not trust each other need separate keys. `thin` leaves out
    metadata and result; a payload above `max_payload_bytes` is cut and marked as truncated.

    `allow_private_callbacks` and `allow_http` are for development; `allowed_hosts` are names that
    may resolve to private addresses.

    An attempt may take `timeout_seconds` in all, and at most `max_response_bytes` are read.
    `calendar` is the retry schedule: the waits before the attempts, each up to `jitter` (a share)
    shorter or longer. A Retry-After is respected up to `max_retry_after_seconds`. A receiver gets
    at most `per_receiver` attempts at a time, all receivers together `max_in_flight`; receivers
    that have not answered get half of these. An attempt without an answer after
    `slow_after_seconds` is counted as slow instead; above `max_slow` the oldest is aborted, as a
    failure. After `breaker_failures` failures in a row a receiver is paused for `breaker_seconds`,
    doubled with each further failure up to `breaker_max_seconds`. The log is polled every
    `poll_seconds`. The active dispatcher has a lease of `lease_seconds`, which it renews; the
    others try to acquire it every `takeover_seconds`. On closing, due deliveries may still be sent
    for `closing_seconds`.
    """

    dispatch: bool = True
    keys: tuple[str, ...] = field(default=(), repr=False)
    organization_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    thin: bool = False
    max_payload_bytes: int = 262_144
    allow_private_callbacks: bool = False
    allow_http: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    timeout_seconds: float = 20.0
    max_response_bytes: int = 16_384
    calendar: tuple[float, ...] = CALENDAR
    jitter: float = 0.1
    max_retry_after_seconds: float = 3600.0
    per_receiver: int = 8
    max_in_flight: int = 128
    slow_after_seconds: float = 1.0
    max_slow: int = 512
    breaker_failures: int = 5
    breaker_seconds: float = 30.0
    breaker_max_seconds: float = 300.0
    poll_seconds: float = 0.25
    lease_seconds: float = 10.0
    takeover_seconds: float = 1.0
    closing_seconds: float = 5.0

    def __post_init__(self) -> None:
        self._check_types()
        if not self.calendar or min(self.calendar) < 0:
            raise InvalidArgument(
                f"calendar: expected waits of 0 seconds or more, found {self.calendar!r}"
            )
        if not 0 <= self.jitter < 1:
            raise InvalidArgument(f"jitter: expected a share below 1, found {self.jitter!r}")
        for name in (
            "max_payload_bytes",
            "timeout_seconds",
            "max_response_bytes",
            "per_receiver",
            "max_in_flight",
            "slow_after_seconds",
            "max_slow",
            "breaker_failures",
            "poll_seconds",
            "lease_seconds",
            "takeover_seconds",
        ):
            if not getattr(self, name) > 0:
                raise InvalidArgument(f"{name}: expected more than 0, found {getattr(self, name)}")
        assert self._parsed is not None

    def _check_types(self) -> None:
        for name, default in ((each.name, each.default) for each in fields(self)):
            value = getattr(self, name)
            if isinstance(default, bool):
                if not isinstance(value, bool):
                    raise InvalidArgument(f"{name}: expected True or False, found {value!r:.80}")
            elif isinstance(default, int | float) and not _is_number(value):
                raise InvalidArgument(f"{name}: expected a number, found {value!r:.80}")
        if not isinstance(self.calendar, Collection) or not all(map(_is_number, self.calendar)):
            raise InvalidArgument(f"calendar: expected a list of numbers, found {self.calendar!r}")
        if not _are_texts(self.allowed_hosts):
            raise InvalidArgument(
                f"allowed_hosts: expected a list of names, found {self.allowed_hosts!r:.80}"
            )
        # The value may be a key, or contain one: it is not repeated.
        if not isinstance(self.organization_keys, Mapping):
            raise InvalidArgument("organization_keys: expected a mapping of lists of keys")
        if not _are_texts(self.keys) or not all(map(_are_texts, self.organization_keys.values())):
            raise InvalidArgument("keys: expected a list of texts such as whsec_…")

    @classmethod
    def from_environment(cls, *, keys_file: Path | None = None, **given: Any) -> Self:
        """Return the settings of the RUNLEDGER_CALLBACK_… variables; `given` takes precedence.

        KEYS (separated by spaces) and KEYS_FILE, or `keys_file`: a line is `KEY` or `ORGANIZATION
        KEY`; neither is read if nothing is sent. ALLOW_PRIVATE, ALLOW_HTTP and THIN (1 or 0);
        ALLOWED_HOSTS (separated by spaces).
        """
        found: dict[str, Any] = {}
        signs = given.get("dispatch", True)
        if signs and (file := keys_file or _variable("KEYS_FILE")):
            found["keys"], found["organization_keys"] = _read_keys(Path(file))
        if signs and (keys := _variable("KEYS")):
            found["keys"] = (*found.get("keys", ()), *keys.split())
        if hosts := _variable("ALLOWED_HOSTS"):
            found["allowed_hosts"] = frozenset(hosts.split())
        for name, variable in (
            ("allow_private_callbacks", "ALLOW_PRIVATE"),
            ("allow_http", "ALLOW_HTTP"),
            ("thin", "THIN"),
        ):
            if (value := _variable(variable)) is not None:
                found[name] = _truth(variable, value)
        return cls(**{**found, **given})

    @property
    def policy(self) -> AddressPolicy:
        """The policy of allowed addresses."""
        return AddressPolicy(
            allow_private=self.allow_private_callbacks,
            allow_http=self.allow_http,
            allowed_hosts=self.allowed_hosts,
        )

    @cached_property
    def _parsed(self) -> dict[str | None, tuple[Key, ...]]:
        owned = [(None, self.keys), *self.organization_keys.items()]
        return {owner: tuple(map(parse_key, texts)) for owner, texts in owned}

    def keys_of(self, organization: str) -> tuple[Key, ...]:
        """Return the keys that sign an organization's callbacks."""
        return self._parsed.get(organization, self._parsed[None])

    def warnings(self) -> list[str]:
        """Return warnings that an operator must get before anything is sent."""
        said = []
        if self.allow_private_callbacks:
            said.append("callbacks may reach private addresses (allow_private_callbacks)")
        if self.allow_http:
            said.append("callbacks may be sent in the clear (allow_http)")
        if self.dispatch and not self.keys and not self.organization_keys:
            said.append("callbacks are sent unsigned: no keys are set")
        return said


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_texts(value: object) -> bool:
    if isinstance(value, str) or not isinstance(value, Collection):
        return False
    return all(isinstance(one, str) for one in value)


def _read_keys(file: Path) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    keys: list[str] = []
    owned: dict[str, tuple[str, ...]] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise InvalidArgument(f"keys file {str(file)!r}: {e.strerror}") from e
    for number, line in enumerate(lines, 1):
        match line.partition("#")[0].split():
            case []:
                pass
            case [key]:
                keys.append(key)
            case [organization, key]:
                owned[organization] = (*owned.get(organization, ()), key)
            case _:
                # The line may contain a key: it is not repeated.
                raise InvalidArgument(
                    f"keys file {str(file)!r}, line {number}: expected KEY or ORGANIZATION KEY"
                )
    return tuple(keys), owned


def _variable(name: str) -> str | None:
    return os.environ.get(_ENVIRONMENT + name) or None


def _truth(name: str, value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off"):
        return False
    raise InvalidArgument(f"{_ENVIRONMENT}{name}: expected 1 or 0, found {value!r}")
