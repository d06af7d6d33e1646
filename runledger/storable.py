"""Makes text storable: UTF-8 cannot encode half a surrogate pair, Python's text may have one."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel

_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_T = TypeVar("_T")


def storable_text(text: str) -> str:
    """Return `text` with each half of a surrogate pair escaped, such as `\\ud83d`.

    Two halves that belong together become their character, as in UTF-16. A text without halves is
    returned as it is.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        whole = _PAIR.sub(lambda found: _joined(found[0]), text)
        return whole.encode(errors="backslashreplace").decode()
    return text


def storable(value: _T) -> _T:
    """Return `value` with every text in it as `storable_text` returns it, keys included.

    Mappings, lists, tuples, sets, dataclasses and pydantic models are processed recursively. A
    value that needs no change is returned itself, so that `storable(value) is value` detects it.
    """
    return _storable(value)  # type: ignore[no-any-return]


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        # A member of an enumeration is text too, and must stay a member.
        return storable_text(value) if type(value) is str else value
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _collection(value)
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return _replaced(value, fields, lambda changed: value.model_copy(update=changed))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return _replaced(value, fields, lambda changed: dataclasses.replace(value, **changed))
    return value


def _mapping(value: Mapping[Any, Any]) -> Any:
    made = {_storable(key): _storable(item) for key, item in value.items()}
    same = all(
        new is old and item is value[old]
        for old, (new, item) in zip(value, made.items(), strict=False)
    )
    return value if same and len(made) == len(value) else made


def _collection(value: Any) -> Any:
    made = [_storable(item) for item in value]
    if all(new is old for new, old in zip(made, value, strict=True)):
        return value
    if hasattr(value, "_make"):
        return value._make(made)
    return type(value)(made)


def _replaced(
    value: Any, fields: Mapping[str, Any], replace: Callable[[dict[str, Any]], Any]
) -> Any:
    made = {name: _storable(item) for name, item in fields.items()}
    changed = {name: item for name, item in made.items() if item is not fields[name]}
    return replace(changed) if changed else value


def _joined(pair: str) -> str:
    return pair.encode("utf-16", "surrogatepass").decode("utf-16")
