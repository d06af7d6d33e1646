"""Methods of the ledger that delegate to its parts."""

import warnings
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from runledger.ledger.part import LedgerPart

_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)
_Part = TypeVar("_Part", bound=LedgerPart)


class Whole(Protocol):
    """An object that is composed of parts."""

    def part(self, kind: type[_Part]) -> _Part:
        """Return the part of a kind; raise LedgerError if the ledger is not open."""


class Delegated(Generic[_P, _R_co]):
    """A method of a part as a method of the whole, with its parameters and its documentation.

    Writing each method again would repeat every signature, and a mixin would share attributes that
    are missing until the ledger is open.

    Parameters:
        part: the kind of part that has the method.
        method: the method, as a function of the part.
    """

    def __init__(self, part: type[_Part], method: Callable[Concatenate[_Part, _P], _R_co]) -> None:
        self._part: type[LedgerPart] = part
        self._method: Callable[..., _R_co] = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, ledger: None, owner: type[Any]) -> Callable[..., _R_co]: ...
    @overload
    def __get__(self, ledger: Whole, owner: type[Any]) -> Callable[_P, _R_co]: ...
    def __get__(self, ledger: Whole | None, owner: type[Any]) -> Callable[..., _R_co]:
        if ledger is None:
            return self._method
        return self._bound(ledger)

    def _bound(self, ledger: Whole) -> Callable[..., _R_co]:
        bound: Callable[..., _R_co] = self._method.__get__(ledger.part(self._part))
        return bound


class MovedToOperator(Delegated[_P, _R_co]):
    """A method under its old name on the ledger; it warns that the operator has it."""

    def _bound(self, ledger: Whole) -> Callable[..., _R_co]:
        name = self._method.__name__
        warnings.warn(
            f"RunLedger.{name} is deprecated: call `ledger.operator.{name}`",
            DeprecationWarning,
            stacklevel=3,
        )
        return super()._bound(ledger)
