"""Answers say by these types what an image is to another, and how that was found out."""

from typing import Annotated, Literal

from pydantic import Field

Match = Annotated[
    Literal["exact", "near-duplicate", "recoloured", "similar"],
    Field(
        description="`exact`: the same file; `near-duplicate`: the same photo; `recoloured`: the same photo in other"
        " colours, told only by `verify`; `similar`: another."
    ),
]
Basis = Annotated[
    Literal["file", "cosine", "fingerprint", "too-little", "other"],
    Field(
        description="How the match was found out: `file`, by its hash; `cosine`, by the similarity alone, as it was not"
        " to be verified, or there is no fingerprint; `fingerprint`, by both pictures, laid over each other;"
        " `too-little`, by the similarity, as one shows too little to tell; `other`, the searcher is older or newer."
    ),
]
