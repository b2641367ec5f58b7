"""Each module here is a part of `tools/gpu_check.py`, or helps one."""
