"""Build a server's guard and certificate from its settings. Libraries are imported only if they are needed."""

from typing import TYPE_CHECKING

from lookalike_serving.security.authentication import Guard, Verifier
from lookalike_serving.security.config import InvalidSecurity, Security
from lookalike_serving.security.tls import Certificate

if TYPE_CHECKING:
    from lookalike_serving.security.keys import Source


def guard(security: Security) -> Guard:
    """Return the guard that the settings ask for. Raises InvalidSecurity."""
    certified = security.tls is not None and security.tls.client_ca is not None
    return Guard(verifier(security), certified=certified, rate=security.rate)


def certificate(security: Security) -> Certificate | None:
    """Return the certificate; None if connections are not encrypted. Raises InvalidSecurity."""
    return Certificate(security.tls) if security.tls else None


def verifier(security: Security) -> Verifier | None:
    """Return what verifies tokens; None if callers need no token. Raises InvalidSecurity."""
    if not security.by_token:
        return None
    try:
        from lookalike_serving.security.jwt import TokenVerifier
        from lookalike_serving.security.keys import FileSource, UrlSource
    except ImportError as error:
        raise InvalidSecurity(
            f"tokens need {error.name}, which is not installed: install lookalike with the extra of this program"
        ) from error
    source: Source = FileSource(security.jwks) if security.jwks else UrlSource(str(security.jwks_url))
    return TokenVerifier(source, audience=security.audience, issuer=security.issuer)
