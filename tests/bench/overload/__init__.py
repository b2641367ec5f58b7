"""Overload: what the servers still do for callers when several times as much is asked of them as they can answer.

`__main__` conducts: `search` and `embed` start a server each and ask for phases of `load`, whose calls are made by
`generator`, a process of its own that `plan` instructs; `calls` makes them, `tally` makes figures of what became of
them. `index_pace` stores images beside such phases, `recovery` says when all was well again, `health_watch` what the
health service said meanwhile.
"""
