"""`lookalike token`: what it makes is accepted."""

import asyncio
import stat
from pathlib import Path

from typer.testing import CliRunner, Result

from lookalike.cli.app import app
from lookalike_serving.security.jwt import TokenVerifier
from lookalike_serving.security.keys import FileSource


def token(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["token", *map(str, arguments)])


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    private, jwks = tmp_path / "signing.pem", tmp_path / "jwks.json"
    assert token("key", private, jwks).exit_code == 0
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert '"d"' not in jwks.read_text(), "the private part"
    before = private.read_bytes()
    assert token("key", private, jwks).exit_code == 2
    assert private.read_bytes() == before


def test_the_scopes_are_those_that_there_are(tmp_path: Path) -> None:
    refused = token("sign", tmp_path / "none.pem", "me", "--scope", "root")
    assert refused.exit_code == 2


def test_tokens_of_an_old_and_a_new_key_are_accepted_as_they_were_asked_for(tmp_path: Path) -> None:
    jwks, made = tmp_path / "jwks.json", []
    for name in "old.pem", "new.pem":
        assert token("key", tmp_path / name, jwks).exit_code == 0
        options = ("--scope", "read", "--scope", "write", "--project", "shop-*", "--rate", "2.5")
        signed = token("sign", tmp_path / name, "indexer", *options)
        assert signed.exit_code == 0, signed.output
        made.append(signed.stdout.strip())
    verifier = TokenVerifier(FileSource(jwks), audience="lookalike", issuer=None)
    for one in made:
        caller = asyncio.run(verifier.verify(one))
        assert (caller.subject, set(caller.scopes), caller.rate) == ("indexer", {"read", "write"}, 2.5)
        assert caller.may_touch("shop-1")
        assert not caller.may_touch("else")
        assert caller.token_id
