"""Methods of a ledger that wait for the answer, with the parameters of those that do not."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from runledger.ledger import RunLedger
from runledger.ledger.part import LedgerPart
from runledger.sync.loop_thread import LoopThread

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Part = TypeVar("_Part", bound=LedgerPart)


class Facade(Protocol):
    """A ledger, and the thread in which its event loop runs."""

    @property
    def ledger(self) -> RunLedger:
        """The ledger itself."""

    @property
    def thread(self) -> LoopThread:
        """The thread of its event loop."""


class _Named:
    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def _of(self, facade: Facade) -> Callable[..., Any]:
        # By its name: the ledger of a server has the same methods as one on a store.
        found: Callable[..., Any] = getattr(facade.ledger, self._method.__name__)
        return found


class Waiting(_Named, Generic[_P, _T]):
    """A method that returns the answer.

    Parameters:
        method: the method of a part of the ledger that returns an awaitable.
    """

    def __init__(self, method: Callable[Concatenate[_Part, _P], Awaitable[_T]]) -> None:
        super().__init__(method)

    @overload
    def __get__(self, facade: None, owner: type[Any]) -> Callable[..., Any]: ...
    @overload
    def __get__(self, facade: Facade, owner: type[Any]) -> Callable[_P, _T]: ...
    def __get__(self, facade: Facade | None, owner: type[Any]) -> Callable[..., Any]:
        if facade is None:
            return self._method
        method, thread = self._of(facade), facade.thread

        def ask(*given: _P.args, **named: _P.kwargs) -> _T:
            answer: _T = thread.wait(method(*given, **named))
            return answer

        return ask


class Iterating(_Named, Generic[_P, _T]):
    """A method that yields items as they come.

    Parameters:
        method: the method of a part of the ledger that returns an asynchronous iterator.
    """

    def __init__(self, method: Callable[Concatenate[_Part, _P], AsyncIterator[_T]]) -> None:
        super().__init__(method)

    @overload
    def __get__(self, facade: None, owner: type[Any]) -> Callable[..., Any]: ...
    @overload
    def __get__(self, facade: Facade, owner: type[Any]) -> Callable[_P, Iterator[_T]]: ...
    def __get__(self, facade: Facade | None, owner: type[Any]) -> Callable[..., Any]:
        if facade is None:
            return self._method
        method, thread = self._of(facade), facade.thread

        def items(*given: _P.args, **named: _P.kwargs) -> Iterator[_T]:
            return thread.iterate(method(*given, **named))

        return items
