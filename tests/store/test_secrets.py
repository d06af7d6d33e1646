"""Passwords in the address of a store appear in no error and in no shown address."""

from contextlib import closing

import pytest

from runledger.errors import InvalidArgument, StoreUnavailable
from runledger.store import open_store
from runledger.store.postgres.address import parse

SECRETS = [
    "postgresql://u:hunter2@127.0.0.1:1/db",
    "postgresql://u:hunter2@[::1]:1/db?connect_timeout=2",
    "postgres://u@127.0.0.1:1/db?password=hunter2",
    "postgresql://u@127.0.0.1:1/db?sslpassword=hunter2",
    "postgresql://u:hunter2%23x@127.0.0.1:1/db",
    "postgresql://u:hunter2#x@127.0.0.1:1/db",
    "postgresql://u:hunter2%zz@127.0.0.1:1/db",
    "postgresql://u:hunter2@[::1/db",
    "postgresql://u:hunter2@127.0.0.1:1/db?unheard=of",
    "postgresql://u:hunter2@127.0.0.1:1/db?schema=Mixed",
    "mysql://u:hunter2@127.0.0.1/db",
    "postgresql:u:hunter2@127.0.0.1/db",
    "u:hunter2@127.0.0.1/db",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_password_never_appears_in_an_error_nor_in_what_caused_it(url: str) -> None:
    with pytest.raises((InvalidArgument, StoreUnavailable)) as caught:
        open_store(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_password_never_appears_in_the_url_of_a_store(postgres: str) -> None:
    secret = postgres.replace("postgres:@", "postgres:hunter2@") + "&schema=secrets"
    with closing(open_store(secret)) as store:
        assert "hunter2" not in store.url
        assert "hunter2" not in repr(store.facts())
        reader = store.log_reader()
        reader.close()
        with closing(open_store(store.url, create=False)) as again:
            assert again.url == store.url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:5433/db", "postgresql://u@h:5433/db?schema=public"),
        ("postgres:///db?host=/run/pg&schema=s", "postgresql:///db?host=/run/pg&schema=s"),
        ("postgresql://u@[::1]/db", "postgresql://u@[::1]/db?schema=public"),
        ("postgresql://h1:1,h2:2/db", "postgresql:///db?host=h1%2Ch2&port=1,2&schema=public"),
        ("postgresql://a%40b:p@h/a%20b", "postgresql://a%40b@h/a%20b?schema=public"),
    ],
)
def test_an_address_is_shown_so_that_it_can_be_used(url: str, shown: str) -> None:
    assert parse(url).shown == shown
    assert parse(shown) == parse(shown)._replace(shown=shown)
