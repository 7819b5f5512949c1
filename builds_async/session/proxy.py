"""Finds the proxy of the environment: its URL without the password, and the header with the password."""

import os
import re
import urllib.request
from base64 import b64encode
from urllib.parse import unquote_to_bytes

import msgspec
from yarl import URL

from builds_async.errors import ConfigurationError
from builds_async.session.hosts import is_host, is_loopback
from builds_async.session.redact import Secret

_SOCKS = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h"})
_HOST_AND_PORT = r"(?s)(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?(?:/.*)?"
_ADVICE = "set it to http://host:port or http://user:password@host:port"


class Proxy(msgspec.Struct, frozen=True):
    """The URL of a proxy without user and password, and the headers that are only for the proxy."""

    url: URL
    headers: dict[str, str]


def proxy_for(url: URL) -> Proxy | None:
    """The proxy of the environment for `url`; None if there is none.

    It comes from HTTPS_PROXY (HTTP_PROXY for plain http), then from ALL_PROXY, or from the system's settings
    on macOS and Windows. Hosts in NO_PROXY and this machine are never reached through a proxy. A proxy URL
    without a scheme means plain http, as in curl. ConfigurationError, which names the variable, if the URL
    can't be used.
    """
    host = url.host or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    for scheme in (url.scheme, "all"):
        if value := Secret(proxies.get(scheme, "").strip()):
            del proxies  # the frames of a traceback must not have the password
            return _parsed(value, _source(scheme), host)
    return None


def _source(scheme: str) -> str:
    """The name of the setting that the user has to change."""
    name = f"{scheme}_proxy"
    for variable in (name, name.upper()):
        if os.environ.get(variable):
            return variable
    return "the proxy of the system's settings"


def _parsed(value: Secret, source: str, host: str) -> Proxy:
    scheme, separator, rest = (Secret(part) for part in value.partition("://"))
    if not separator:
        scheme, rest = Secret("http"), value
    if scheme.lower() in _SOCKS:
        raise ConfigurationError(
            f"{source} names a SOCKS proxy, which is not supported: set HTTPS_PROXY to an http proxy, or"
            f" NO_PROXY={host} to use none"
        )
    user, separator, place = (Secret(part) for part in rest.rpartition("@"))
    found = re.fullmatch(_HOST_AND_PORT, place)
    if scheme.lower() not in {"http", "https"} or found is None or not is_host(found[1]):
        raise ConfigurationError(f"{source} must be the URL of a proxy (it is not shown): {_ADVICE}")
    port = None if found[2] is None else int(found[2])
    if port is not None and not 0 < port <= 65535:
        raise ConfigurationError(f"{source} must have a port from 1 to 65535, not {port}: {_ADVICE}")
    proxy = URL.build(scheme=scheme.lower(), host=found[1].strip("[]"), port=port)
    return Proxy(proxy, {"Proxy-Authorization": _basic(user)} if separator else {})


def _basic(userinfo: Secret) -> Secret:
    user, _, password = userinfo.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return Secret(f"Basic {b64encode(pair).decode()}")
