"""Verify JSON Web Tokens (RFC 7519). This needs `pyjwt` and `cryptography`."""

import re
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt

from lookalike.constants import SCOPES
from lookalike_serving.security.caller import Caller
from lookalike_serving.security.errors import KeysUnavailable, Unauthenticated
from lookalike_serving.security.keys import Source

LEEWAY_SECONDS: Final = 30.0
"""The clock of a token's issuer may be off by so much."""
_MAX_CALLERS: Final = 4096
_JWT: Final = jwt.PyJWT(options={"enforce_minimum_key_length": True})
_MAX_RATE: Final = 1e6
_MIN_RATE: Final = 1e-4
"""A caller may have so many requests a second at least: fewer would be one in hours."""
_LAST_SECOND: Final = 2.0**53
"""`exp` may be so high at most: up to here, a float can tell seconds apart."""
_MAX_ID: Final = 256
_PROJECT: Final = re.compile(r"[a-z0-9_-]{1,63}|[a-z0-9_-]{0,63}\*")


class TokenVerifier:
    """The verifier checks tokens, and remembers the valid ones: to check a signature takes some 0.2 ms.

    Args:
        source: where the keys come from.
        audience: a name that a token's `aud` must hold, so that tokens for other services are refused.
        issuer: the value that its `iss` must have; None: any.
    """

    def __init__(self, source: Source, *, audience: str, issuer: str | None) -> None:
        self._source = source
        self._audience, self._issuer = audience, issuer
        self._callers: dict[str, Caller] = {}
        self._version = source.version

    async def verify(self, token: str) -> Caller:
        """Return the caller that a token stands for. Raises Unauthenticated, KeysUnavailable."""
        keys = await self._source.keys()
        if keys is None:
            raise KeysUnavailable
        if self._version != self._source.version:  # a key may have been revoked
            self._version = self._source.version
            self._callers.clear()
        caller = self._callers.get(token)
        if caller is None:
            caller = await self._verified(token)
            self._callers[token] = caller
            if len(self._callers) > _MAX_CALLERS:
                del self._callers[next(iter(self._callers))]  # the oldest
        if caller.expires <= time.time():
            raise Unauthenticated.expired()
        return caller

    async def _verified(self, token: str) -> Caller:
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(header.get("kid"))
            claims = _JWT.decode(
                token,
                key,
                algorithms=[str(key.algorithm_name)],  # those of the key: a token must not choose
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud"]},
            )
            return _caller(claims)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated.expired() from None
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise Unauthenticated.invalid(str(error)[:200]) from None

    async def _key(self, key_id: str | None) -> jwt.PyJWK:
        """Return the key that the token names. Raises ValueError."""
        for refresh in (False, True):
            keys = await self._source.keys(refresh=refresh)
            if keys and (key := keys.find(key_id)):
                return key
        raise ValueError(f"no key {str(key_id)[:80]!r}")


def _caller(claims: Mapping[str, Any]) -> Caller:
    """Return the caller that verified claims describe. Raises ValueError."""
    scopes, projects, rate = claims.get("scope", ""), claims.get("projects", []), claims.get("rate", 0)
    if not isinstance(scopes, str):
        raise ValueError("scope must be a string, its words separated by spaces")  # noqa: TRY004 - what was sent
    if not isinstance(projects, list) or not all(
        isinstance(name, str) and _PROJECT.fullmatch(name) for name in projects
    ):
        raise ValueError("projects must be a list of names, or beginnings of names that end in *")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not (rate == 0 or _MIN_RATE <= rate <= _MAX_RATE):
        raise ValueError(f"rate must be 0, or {_MIN_RATE:g} to {_MAX_RATE:g} requests a second")
    if float(claims["exp"]) > _LAST_SECOND:
        raise ValueError("exp must be a number of seconds since 1970")
    return Caller(
        subject=_text("sub", claims["sub"]),
        token_id=_text("jti", claims.get("jti", "")),
        scopes=SCOPES.intersection(scopes.split()),
        projects=tuple(projects),
        expires=float(claims["exp"]) + LEEWAY_SECONDS,
        rate=float(rate),
    )


def _text(name: str, value: object) -> str:
    """Return a claim, which will be logged. Raises ValueError, also for text that UTF-8 cannot encode."""
    if not isinstance(value, str) or len(value.encode()) > _MAX_ID:
        raise ValueError(f"{name} must be a text of at most {_MAX_ID} bytes")
    return value
