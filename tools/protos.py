"""Generate client/lookalike/v1 from protos, or check that it is fresh.

Stubs come in pairs: the module, and its .pyi for type checkers and editors.
"""

import filecmp
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = Path("lookalike", "v1")


def generate(target: Path) -> list[str]:
    """Write the stubs below `target`, and return their names."""
    sources = [str(path.relative_to(PROTOS)) for path in sorted((PROTOS / PACKAGE).glob("*.proto"))]
    plugin = Path(sys.executable).parent
    code = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={files('grpc_tools') / '_proto'}",  # google/protobuf/*.proto
            f"--plugin=protoc-gen-mypy={plugin / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugin / 'protoc-gen-mypy_grpc'}",
            *(f"--{kind}_out={target}" for kind in ("python", "grpc_python")),
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet,only_async:{target}",
            *sources,
        ]
    )
    if code:
        raise SystemExit(code)
    (target / PACKAGE / "__init__.py").write_text(
        '"""The wire, generated from protos/lookalike/v1: `make protos`."""\n'
    )
    return sorted(path.name for path in (target / PACKAGE).iterdir() if path.suffix in (".py", ".pyi"))


def stale() -> list[str]:
    """Return the names of stubs that are missing, old, or not generated any more."""
    committed = ROOT / "client" / PACKAGE
    with tempfile.TemporaryDirectory() as folder:
        generated = generate(Path(folder))
        _, different, missing = filecmp.cmpfiles(Path(folder, PACKAGE), committed, generated, shallow=False)
    extra = {path.name for path in committed.iterdir() if path.suffix in (".py", ".pyi")} - set(generated)
    return sorted({*different, *missing, *extra})


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if names := stale():
            raise SystemExit(f"stale stubs in client/{PACKAGE}: {', '.join(names)}; run `make protos`")
        print("the generated code is fresh")  # noqa: T201
    else:
        generate(ROOT / "client")
