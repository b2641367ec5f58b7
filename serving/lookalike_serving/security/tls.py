"""Load a server's certificate from files, and again when they are replaced, for each new connection."""

import logging
import ssl
from typing import Final

import grpc

from lookalike_serving.security.config import InvalidSecurity, TlsFiles

logger = logging.getLogger(__name__)

_Pem = tuple[bytes, bytes, bytes | None]
_PROTOCOLS: Final = ["http/1.1"]


class Certificate:
    """The certificate is loaded from files, and with it the authorities of the certificates that clients must show.

    The files are read for each new connection: some 20 microseconds beside the milliseconds of a handshake. Files that
    cannot be used are logged, once, and change nothing.

    Args:
        files: where the certificate, its key and the authorities are.

    Raises:
        InvalidSecurity: the files cannot be used at the start.

    Attributes:
        context: the newest certificate, for TLS by Python's own library.
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
        """Return whether clients need a certificate."""
        return self._files.client_ca is not None

    def renew(self) -> bool:
        """Load the files if they have changed and can be used. Returns whether that was so."""
        try:
            pem = self._read()
            if pem == self._seen:
                return False
            self.context, self._seen = self._load(), pem
        except OSError as error:  # ssl.SSLError is an OSError
            if str(error) != self._trouble:
                logger.error("%s: %s; the certificate before is kept", self._files, error)  # noqa: TRY400
            self._trouble = str(error)
            return False
        self._trouble = ""
        logger.info("%s: new connections get the new certificate", self._files)
        return True

    def for_grpc(self) -> grpc.ServerCredentials:
        """Return server credentials for gRPC's `add_secure_port`."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            self._renewed,  # type: ignore[arg-type] # its types forget that None means "no change"
            self.mutual,
        )

    def for_asyncio(self) -> ssl.SSLContext:
        """Return a context for asyncio's servers. At each handshake, it is replaced by the newest one."""

        def hand_over(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            self.renew()
            connection.context = self.context

        self._first.sni_callback = hand_over
        return self._first

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new certificate, or None if it is unchanged.

        gRPC calls this on its own thread for each connection.
        """
        return self._configuration() if self.renew() else None

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        certificate, key, client_ca = self._seen
        return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)

    def _read(self) -> _Pem:
        ca = self._files.client_ca
        return self._files.certificate.read_bytes(), self._files.key.read_bytes(), ca.read_bytes() if ca else None

    def _load(self) -> ssl.SSLContext:
        """Load the files. Raises OSError if one is missing or is no certificate, or if the key does not fit."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key, password="")
        context.set_alpn_protocols(_PROTOCOLS)
        if self._files.client_ca:
            context.load_verify_locations(self._files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
