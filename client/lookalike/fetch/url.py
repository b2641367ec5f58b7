"""Parse the URLs that images are fetched from, so that a valid URL is sent byte for byte: it may be signed.

yarl on its own writes `%2F`, `%7E` and `+` in another way, of the same meaning to some servers and not to others.
"""

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urljoin, urlsplit

if TYPE_CHECKING:
    from yarl import URL

_TO_QUOTE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""Matches what may not be in a URL (RFC 3986, section 2)."""


def parse(text: str) -> "URL":
    """Return the URL as it is to be sent, without its fragment. Only what may not be sent is quoted.

    Raises:
        ValueError: it is not a URL.
    """
    from yarl import URL  # it comes with the extra `index`, and manifests are read without it

    parts = urlsplit(_TO_QUOTE.sub(lambda found: quote(found[0].encode(errors="surrogateescape")), text))
    authority = URL(text).raw_authority  # with the host as DNS spells it
    return URL.build(
        scheme=parts.scheme,
        authority=authority,
        path=parts.path or ("/" if authority else ""),
        query_string=parts.query,
        encoded=True,
    )


def join(base: str, reference: str) -> str:
    """Return the URL that a reference stands for at a base URL (RFC 3986, section 5)."""
    return reference if urlsplit(reference).scheme else urljoin(base, reference)
