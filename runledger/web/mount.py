"""Mounts the page on a server."""

from runledger.server.app import Application
from runledger.web.application import WebApplication


def mount_page(application: Application) -> None:
    """Hand every path that is not the server's own to the page.

    Parameters:
        application: the server's, before its first request.
    """
    application.mount_pages(WebApplication(application.services))
