"""Launch a server's program: SIGTERM ends it also while its modules are still being imported.

In a container the program is often process 1, for which the kernel ignores each signal that it does not handle.
"""

import importlib
import os
import signal


def launch(module: str) -> None:
    """Import the module and run its `main`. SIGTERM before it handles that itself is an orderly end: nothing has begun.

    Args:
        module: the full name of the module.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    importlib.import_module(module).main()
