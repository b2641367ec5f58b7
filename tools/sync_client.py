"""Write the methods of client/lookalike/sync_client/ from those of client/lookalike/client/, or check them.

    python tools/sync_client.py [--check]

Each public method of `Client` becomes a method of `SyncClient` with the same name, arguments and text, in a module of
the same name. The work stays in `Client`.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "client" / "lookalike" / "client"
TARGET: Final = ROOT / "client" / "lookalike" / "sync_client"

_BY_HAND: Final = {"__init__.py", "base.py", "loop_thread.py"}


def written() -> dict[str, str]:
    """Return the formatted text of each module, by the name of its file."""
    names = sorted({path.name for path in SOURCE.glob("*.py")} - _BY_HAND)
    return {name: _formatted(_module(name), TARGET / name) for name in names}


def _module(name: str) -> str:
    """Return the text of a module: all imports of its source, of which the linter removes those that are not used."""
    tree = ast.parse((SOURCE / name).read_text())
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    base = "from lookalike.client.base", "from lookalike.sync_client.base"
    kind = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    methods = [node for node in kind.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    says = str(ast.get_docstring(kind)).replace("`Client`", "`SyncClient`")
    return (
        f'"""{ast.get_docstring(tree)}\n\n`tools/sync_client.py` writes this from `client/{name}`.\n"""\n'
        + "from collections.abc import Generator\n"
        + "\n".join(imports).replace(*base)
        + f'\n\nclass {kind.name}(BaseClient):\n    """{says}"""\n\n'
        + "\n\n".join(_method(node) for node in methods if not node.name.startswith("_"))
        + "\n"
    )


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = ast.unparse(node.returns) if node.returns else "None"
    streamed = re.fullmatch(r"Async(?:Generator|Iterator)\[(.*?)(?:, None)?\]", returns)
    returns = f"Generator[{streamed[1]}, None, None]" if streamed else returns
    call = f"client.{node.name}({_call(node.args)})"
    does = f"loop.iterate(lambda: {call})" if streamed else f"loop.call({call})"
    quoted = (ast.get_docstring(node, clean=False) or "").rstrip()
    tail = "\n        " if "\n" in quoted else ""
    return (
        f"    def {node.name}({ast.unparse(node.args)}) -> {returns}:\n"
        f'        """{quoted}{tail}"""\n'
        f"        loop, client = self._client()\n"
        f"        return {does}"
    )


def _call(arguments: ast.arguments) -> str:
    positional = [argument.arg for argument in arguments.args if argument.arg != "self"]
    return ", ".join([*positional, *(f"{argument.arg}={argument.arg}" for argument in arguments.kwonlyargs)])


def _formatted(text: str, path: Path) -> str:
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    name = ["--stdin-filename", str(path)]
    for step in (["check", "--fix-only", "--quiet", "--select", "F401,I"], ["format", "--quiet"]):
        done = subprocess.run([*ruff, *step, *name, "-"], input=text, capture_output=True, text=True, check=True)  # noqa: S603
        text = done.stdout
    return text


def stale() -> list[str]:
    """Return the names of modules that are missing, that differ from what this writes, or that have no source."""
    fresh = written()
    committed = {path.name: path.read_text() for path in TARGET.glob("*.py") if path.name not in _BY_HAND}
    return sorted(name for name in {*fresh, *committed} if fresh.get(name) != committed.get(name))


if __name__ == "__main__":
    if "--check" in sys.argv:
        if names := stale():
            sys.exit(f"stale in {TARGET.relative_to(ROOT)}: {', '.join(names)}; run `make sync-client`")
    else:
        for name, text in written().items():
            (TARGET / name).write_text(text)
