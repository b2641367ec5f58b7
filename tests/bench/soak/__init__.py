"""Load and soak: mixed traffic on all servers for minutes, restarts in its middle.

`__main__` conducts: `servers` (the servers, the catalogue), `generator_process` → `generator` (Locust, a process of its
own: `calls` says what is asked, and how often), `bulk` (`lookalike index`, again and again), `memory` and `restarts`
beside it; `call_log` holds what became of each call, `judgement` and `report` make figures of it all.
"""
