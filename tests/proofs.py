"""A copy with its proof, made by the servers' own code without the servers."""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from lookalike import Hit, Match, MatchBasis, Reference, Region, Suspect
from lookalike._operations import decode_proof
from lookalike_searcher.copies.sides import Side
from lookalike_searcher.copies.verification import verify
from lookalike_searcher.rpc.respond import proof as respond
from lookalike_serving.fingerprint import Fingerprint, making
from tests.pictures import shipped

HOSTILE = "javascript:alert('<img src=https://evil.example/x onerror=alert(1)>')/\u202e<b>.jpg"
PHOTO = "0" * 64


def copied(cat: Image.Image) -> Image.Image:
    """The photo, mirrored, of which the lower right is left, in a frame."""
    cat = ImageOps.mirror(cat)
    return ImageOps.expand(cat.crop((100, 60, *cat.size)), 30, "white")


def stolen(uri: str = HOSTILE, original: str = HOSTILE, product: str = HOSTILE) -> tuple[Suspect, dict[str, bytes]]:
    """A copy of a photo, said to be covered at the lower right, and the thumbnail of the photo by its hash."""
    cat = shipped("chelsea.png")
    shop, picture = fingerprint(cat), fingerprint(copied(cat))
    proof = decode_proof.proof(respond.proof(verify(Side.of(picture), Side.of(shop))))
    hit = Hit(
        *(0.9, Match.NEAR_DUPLICATE, PHOTO, *cat.size, (Reference(original, product, product, False, {}),), 3, "", 0.9),
        match_basis=MatchBasis.FINGERPRINT,
        proof=replace(proof, covered=Region(0.5, 0.5, 0.75, 1)),
    )
    return Suspect(uri, (hit,), picture=picture.picture), {PHOTO: shop.picture}


def fingerprint(picture: Image.Image) -> Fingerprint:
    return making.make(np.asarray(picture), *picture.size)
