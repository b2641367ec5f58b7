"""What the client is told by its environment, and that the page names all of it."""

import re
from pathlib import Path

import pytest

from lookalike import Client, Credentials, PreconditionError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "security.md"
ENVIRONMENT = {
    "LOOKALIKE_TLS": "1",
    "LOOKALIKE_TLS_CA": "ca.pem",
    "LOOKALIKE_TLS_CLIENT_CERT": "cert.pem",
    "LOOKALIKE_TLS_CLIENT_KEY": "key.pem",
    "LOOKALIKE_TOKEN": " token\n",
    "LOOKALIKE_TOKEN_FILE": "token",
    "LOOKALIKE_PLAINTEXT_TOKEN": "true",
}
ALL = Credentials(True, Path("ca.pem"), Path("cert.pem"), Path("key.pem"), "token", Path("token"), True)


def test_the_environment_says_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Credentials.from_env() == Credentials()
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert Credentials.from_env() == ALL
    assert Client()._servers._credentials == Client.from_env()._servers._credentials == ALL
    assert Client(credentials=Credentials())._servers._credentials == Credentials()


def test_the_page_has_these_variables() -> None:
    [table] = re.findall(r"\| variable \|.*?\n\n", DOCS.read_text(), re.DOTALL)
    assert set(re.findall(r"LOOKALIKE_[A-Z_]+", table)) == set(ENVIRONMENT)


@pytest.mark.parametrize("half", [Credentials(certificate=Path("cert.pem")), Credentials(key=Path("key.pem"))])
def test_a_certificate_and_its_key_belong_together(half: Credentials) -> None:
    with pytest.raises(PreconditionError, match="belong together"):
        half.for_channel()
