"""The installed distribution: its name on the package index, and versions of packages."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

DISTRIBUTION: Final = "run-event-ledger"
"""The name on the package index, where `runledger` is a different project."""


def package_version(package: str = DISTRIBUTION) -> str:
    """Return the version of an installed package, or that it is not installed as one.

    Parameters:
        package: its name on the index; this project by default.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"
