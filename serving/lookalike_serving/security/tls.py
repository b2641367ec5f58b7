"""A server's certificate, in files that are replaced before it expires: whoever connects gets the newest."""

import logging
import ssl
from typing import Final

import grpc

from lookalike_serving.security.config import InvalidSecurity, TlsFiles

logger = logging.getLogger(__name__)

_Pem = tuple[bytes, bytes, bytes | None]
_PROTOCOLS: Final = ["http/1.1"]


class Certificate:
    """What a server shows, and whose certificates it asks its clients for.

    The files are read for each new connection: some 20 microseconds beside the milliseconds of a handshake. What
    cannot be used is logged, once, and changes nothing.

    Args:
        files: where it is.

    Raises:
        InvalidSecurity: it cannot be used at the beginning.

    Attributes:
        context: it, for whoever does TLS with Python's own library.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._trouble = ""
        try:
            self._seen = self._read()
            self.context, self._first = self._load(), self._load()
        except OSError as error:
            raise InvalidSecurity(f"{files}: {error}") from error

    @property
    def mutual(self) -> bool:
        """Whether clients need one."""
        return self._files.client_ca is not None

    def renew(self) -> bool:
        """Look whether the files have changed, and can be used."""
        try:
            found = self._read()
            if found == self._seen:
                return False
            self.context, self._seen = self._load(), found
        except OSError as error:  # broken ones are such, too
            if str(error) != self._trouble:
                logger.error("%s: %s; the certificate before is kept", self._files, error)  # noqa: TRY400
            self._trouble = str(error)
            return False
        self._trouble = ""
        logger.info("%s: new connections get the new certificate", self._files)
        return True

    def for_grpc(self) -> grpc.ServerCredentials:
        """Credentials for `add_secure_port`."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            self._renewed,  # type: ignore[arg-type] # None for "as before" is forgotten by its types
            self.mutual,
        )

    def for_asyncio(self) -> ssl.SSLContext:
        """A context for asyncio's servers: as each connection begins, it gives way to the newest one."""

        def hand_over(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            self.renew()
            connection.context = self.context

        self._first.sni_callback = hand_over
        return self._first

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called on a thread of gRPC's, by each new connection."""
        return self._configuration() if self.renew() else None

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        certificate, key, client_ca = self._seen
        return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)

    def _read(self) -> _Pem:
        ca = self._files.client_ca
        return self._files.certificate.read_bytes(), self._files.key.read_bytes(), ca.read_bytes() if ca else None

    def _load(self) -> ssl.SSLContext:
        """Raises OSError: they are not there, no certificates, or the key is another one's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key, password="")
        context.set_alpn_protocols(_PROTOCOLS)
        if self._files.client_ca:
            context.load_verify_locations(self._files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
