"""Signing in with a key, which a cookie then stands for."""

from typing import Any

from runledger.server.call import Call
from runledger.server.refusal import Refusal
from runledger.server.route import Strict
from runledger.web.address import Address
from runledger.web.sessions import Sessions
from runledger.web.view import Elsewhere, View


class Key(Strict):
    """The form: a key, and the path of the view that asked for it."""

    key: str
    next: str = "/"


async def sign_in(asked: tuple[Call[Any, Key], Sessions]) -> Elsewhere | View:
    """Begin a session, and go to the view that asked for the key."""
    call, sessions = asked
    try:
        cookie = await sessions.begin(call.body.key.strip(), call.headers)
    except Refusal as e:
        if e.status != 401:
            raise
        wrong = "That key is not known here, or it ended. Keys begin with rlk_."
        return View("login.html", "Key", {}, {"next": call.body.next, "wrong": wrong}, 401)
    return Elsewhere(_ours(call.body.next), cookie)


async def sign_out(asked: tuple[Call[Any, Any], Sessions]) -> Elsewhere:
    """Forget the session."""
    call, sessions = asked
    return Elsewhere(Address("/"), sessions.end(call.headers))


def _ours(path: str) -> Address:
    """Return the address of a view; one that leads to another site becomes the first view."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return Address(path if ours and path.isascii() else "/")
