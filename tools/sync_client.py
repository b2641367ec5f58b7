"""Write client/lookalike/sync_client.py from client/lookalike/client.py, or check that it is fresh.

    python tools/sync_client.py [--check]

Each public method of `Client` becomes a method of `SyncClient` with the same name, arguments and text. The work stays
in `Client`.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "client" / "lookalike" / "client.py"
TARGET: Final = ROOT / "client" / "lookalike" / "sync_client.py"

_HEAD: Final = '''"""The client for code that has no event loop: Django, Flask, Celery, notebooks.

`tools/sync_client.py` writes this from `client.py`.
"""

import atexit
import os
import threading
'''
_CLASS: Final = '''
class SyncClient:
    """`Client` with methods that block. It may be used from several threads, and at the module level.

    All calls run on one event loop in a thread of its own, which begins with the first call. After a fork the child has
    a loop and connections of its own. What is iterated over runs one step ahead of the caller; the items of `index` are
    read in the client's thread.

    Args: see `Client`.
    """

    def __init__({init}) -> None:
        def make() -> Client:
            return Client({init_call})

        self._make = make
        make()  # says at once what is wrong with the arguments
        self._lock = threading.Lock()
        self._running: tuple[int, LoopThread, Client] | None = None

    @classmethod
    def from_env({from_env}) -> Self:
        """{from_env_doc}"""
        return cls(
            os.environ.get("LOOKALIKE_EMBEDDER") or DEFAULT_EMBEDDER,
            os.environ.get("LOOKALIKE_SEARCHER") or DEFAULT_SEARCHER,
            timeout=timeout,
            embed_streams=embed_streams,
        )

    def __enter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections, and end the thread; what is in flight is cancelled. A later call begins again."""
        with self._lock:
            running, self._running = self._running, None
        if running and running[0] == os.getpid():
            atexit.unregister(self.close)
            running[1].call(running[2].close())
            running[1].stop()

    def _client(self) -> tuple[LoopThread, Client]:
        with self._lock:
            if self._running is None or self._running[0] != os.getpid():
                self._running = (os.getpid(), LoopThread(), self._make())
                atexit.register(self.close)
            return self._running[1:]
'''


def written() -> str:
    """Return the formatted text of the module."""
    tree = ast.parse(SOURCE.read_text())
    client = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Client")
    methods = {node.name: node for node in client.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    init, from_env = methods.pop("__init__"), methods.pop("from_env")
    head = _CLASS.format(
        init=ast.unparse(init.args),
        init_call=_call(init.args),
        from_env=ast.unparse(from_env.args),
        from_env_doc=ast.get_docstring(from_env),
    )
    bodies = [_method(node) for name, node in methods.items() if not name.startswith("_") and name != "close"]
    text = _HEAD + _imports(tree) + "\n" + _constants(tree) + "\n" + head + "\n" + "\n\n".join(bodies) + "\n"
    return _formatted(text)


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
    positional = [argument.arg for argument in arguments.args if argument.arg not in ("self", "cls")]
    return ", ".join([*positional, *(f"{argument.arg}={argument.arg}" for argument in arguments.kwonlyargs)])


def _imports(tree: ast.Module) -> str:
    """Return all imports of the client; the linter removes those that are not used."""
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    own = "from collections.abc import Generator\nfrom lookalike._blocking import LoopThread\n"
    names = "DEFAULT_EMBEDDER, DEFAULT_EMBED_STREAMS, DEFAULT_SEARCHER, Client"
    return "\n".join(imports) + f"\n{own}from lookalike.client import {names}\n"


def _constants(tree: ast.Module) -> str:
    """Return the private constants, which are defaults of arguments."""
    return "\n".join(
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id.startswith("_")
    )


def _formatted(text: str) -> str:
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    name = ["--stdin-filename", str(TARGET)]
    for step in (["check", "--fix-only", "--quiet", "--select", "F401,I"], ["format", "--quiet"]):
        done = subprocess.run([*ruff, *step, *name, "-"], input=text, capture_output=True, text=True, check=True)  # noqa: S603
        text = done.stdout
    return text


def stale() -> bool:
    """Return whether the committed module differs from what this writes."""
    return not TARGET.exists() or TARGET.read_text() != written()


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit("sync_client.py is stale: run `make sync-client`" if stale() else 0)
    TARGET.write_text(written())
