"""Prove the embedder on this machine's GPU in under eight minutes: right, robust, fast.

    python tools/gpu_check.py [--weights vgg16.safetensors] [--photos FOLDER]

Run it from a checkout, without installation. It needs Python 3.11 or later with torch, torchvision, numpy, pillow and
grpcio. Other packages come from `wheels/` (`make gpu-wheels` fills it) if they are not installed. Results are kept
after each measurement, in JSON lines. A table comes at the end, and JSON as the last line. docs/embedder.md explains
it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / room) for room in ("client", "serving", "embedder"))]

if __name__ == "__main__":
    from tools.gpu.run import main

    sys.exit(main(__doc__ or "", ROOT))
