"""Copies are proven, with what was done to them; other photos are not, however much they look alike."""

from functools import cache
from itertools import permutations, product

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from lookalike.evaluation.alterations import ALTERATIONS, Alteration
from lookalike_searcher.copies.proof import Corners, Kind, Proof
from lookalike_searcher.copies.sides import Side
from lookalike_searcher.copies.verification import verify
from lookalike_serving.fingerprint import Fingerprint, making
from lookalike_serving.fingerprint.picture import InvalidPicture
from tests.bench.copies.alterations import HARDER, RECOLOURED, Composed
from tests.pictures import shipped

ASTRONAUT, CAT, COFFEE, ROCKET = map(shipped, ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"))


def beside_others(compose: Composed) -> Alteration:
    return lambda photo: compose(photo, [COFFEE, CAT, ROCKET])


ALL = {**ALTERATIONS, **{name: beside_others(compose) for name, compose in HARDER.items()}}


def side(photo: Image.Image) -> Side:
    return Side.of(making.make(np.asarray(photo.convert("RGB")), *photo.size))


@cache
def original() -> Side:
    return side(ASTRONAUT)


def proof_of(alter: Alteration) -> Proof:
    return verify(side(alter(ASTRONAUT)), original())


@pytest.mark.parametrize("name", ALL)
def test_an_altered_copy_is_proven(name: str) -> None:
    proof = proof_of(ALL[name])
    assert proof.is_copy
    assert proof.confidence > 0.9
    assert proof.mirrored == name.startswith("mirror")


def test_a_frame_hides_what_was_cut_off_and_is_no_sign_against_a_faint_photo() -> None:
    faint = Image.blend(Image.new("RGB", ASTRONAUT.size, "grey"), ASTRONAUT.convert("RGB"), 0.4)
    framed = ImageOps.expand(faint.crop((50, 60, 460, 450)), 60, "white")
    assert verify(side(framed), side(faint)).kind is Kind.NEAR_DUPLICATE


def test_what_is_nearly_symmetric_is_proven_in_the_mirror() -> None:
    """As clothes are: in many places such a picture agrees with its mirror image, and nowhere exactly."""
    half = np.asarray(ASTRONAUT.convert("RGB"))[:, :256]
    waves = [np.round(5 * np.sin(np.arange(size) / 9)).astype(int) for size in half.shape[:2]]
    rows = (np.arange(512)[:, None] + waves[1]) % 512
    columns = (np.arange(256) + waves[0][:, None]) % 256
    picture = Image.fromarray(np.concatenate((half, half[:, ::-1][rows, columns]), axis=1))
    proof = verify(side(ImageOps.mirror(picture)), side(picture))
    assert (proof.kind, proof.mirrored) == (Kind.NEAR_DUPLICATE, True)


@pytest.mark.parametrize(
    ("name", "turned"), [("jpeg-30", 0), ("rotate-5", -5), ("rotate-10", -10), ("rotate-90", -90), ("rotate-180", 180)]
)
def test_it_is_told_how_far_a_copy_is_turned(name: str, turned: int) -> None:
    assert abs((proof_of(ALL[name]).turned - turned + 180) % 360 - 180) < 1


def test_it_is_told_how_a_mirrored_copy_is_turned() -> None:
    proof = proof_of(lambda photo: ImageOps.mirror(photo).rotate(-90, expand=True))
    assert proof.mirrored
    assert abs(proof.turned - 90) < 1


def test_a_crop_is_told_with_its_corners() -> None:
    proof = proof_of(lambda photo: photo.crop((100, 50, 400, 450)))
    assert (proof.cropped, proof.bordered) == (True, False)
    expected = ((100, 50), (400, 50), (400, 450), (100, 450))
    assert np.abs(np.array(proof.corners_in_image) * 512 - expected).max() < 4
    assert abs(proof.of_image - 300 * 400 / 512**2) < 0.02
    assert proof.overlap > 0.97


def test_a_framed_crop_is_told_though_its_corners_lie_without() -> None:
    proof = proof_of(lambda photo: ImageOps.expand(photo.crop((50, 50, 462, 462)), 40, "white"))
    assert (proof.cropped, proof.bordered) == (True, True)
    assert abs(proof.of_image - (412 / 512) ** 2) < 0.03
    margins = ImageOps.expand(ASTRONAUT, 60, "white")
    assert not verify(side(margins), side(margins.resize((300, 300)))).cropped, "both have the same margins"


def test_a_border_is_told_with_its_corners_and_nothing_is_covered() -> None:
    proof = proof_of(lambda photo: ImageOps.mirror(ImageOps.expand(photo, (128, 0, 0, 64), "black")))
    assert (proof.cropped, proof.bordered, proof.mirrored, proof.covered) == (False, True, True, None)
    expected = np.array(((512, 0), (0, 0), (0, 512), (512, 512))) / (640, 576)
    assert np.abs(np.array(proof.corners_in_query) - expected).max() < 0.01


def test_a_squeeze_is_told() -> None:
    assert abs(proof_of(ALL["squeeze-75"]).stretched - 4 / 3) < 0.03


@pytest.mark.parametrize("mirror", [False, True])
def test_it_is_told_what_is_covered(mirror: bool) -> None:
    def cover(photo: Image.Image) -> Image.Image:
        covered = photo.copy()
        ImageDraw.Draw(covered).rectangle((50, 300, 200, 480), "yellow")
        return ImageOps.mirror(covered) if mirror else covered

    proof = proof_of(cover)
    assert proof.covered is not None
    expected = (312, 300, 462, 480) if mirror else (50, 300, 200, 480)
    # to the nearest dozen pixels of 160
    assert np.abs(np.array(proof.covered) * 512 - expected).max() < 40
    assert proof.kind is Kind.NEAR_DUPLICATE, "what lies on a photo does not recolour it"


def covered_turned_mirrored(photo: Image.Image) -> Image.Image:
    covered = photo.copy()
    ImageDraw.Draw(covered).rectangle((50, 300, 200, 480), "yellow")
    return ImageOps.mirror(covered).crop((40, 20, 512, 512)).rotate(-90, expand=True)


@pytest.mark.parametrize(
    "alter",
    [
        covered_turned_mirrored,
        lambda photo: ImageOps.expand(photo.rotate(-90).crop((50, 80, 462, 512)), 40, "white"),
        ALL["perspective"],
    ],
)
def test_the_inverse_of_a_proof_is_what_a_comparison_the_other_way_round_shows(alter: Alteration) -> None:
    copy = side(alter(ASTRONAUT))
    told, shown = verify(copy, original()).inverse, verify(original(), copy)
    assert (told.kind, told.mirrored, told.cropped) == (shown.kind, shown.mirrored, shown.cropped)
    assert abs((told.turned - shown.turned + 180) % 360 - 180) < 1
    for told_of, shown_of in (
        (told.corners_in_query, shown.corners_in_query),
        (told.corners_in_image, shown.corners_in_image),
        (told.covered or (), shown.covered or ()),
        ((told.of_query, told.of_image), (shown.of_query, shown.of_image)),
    ):
        assert np.array(told_of) == pytest.approx(np.array(shown_of), abs=0.04)
    assert told.inverse == verify(copy, original())


@pytest.mark.parametrize("name", RECOLOURED)
def test_a_photo_in_other_colours_is_told_from_a_copy(name: str) -> None:
    proof = proof_of(RECOLOURED[name])
    assert proof.kind is Kind.RECOLOURED
    assert proof.recoloured > 2 * proof_of(ALTERATIONS["jpeg-30"]).recoloured


@pytest.mark.parametrize("name", RECOLOURED)
def test_faint_colours_that_were_turned_are_told_too(name: str) -> None:
    faint = ImageEnhance.Color(ASTRONAUT.convert("RGB")).enhance(0.15)
    assert verify(side(RECOLOURED[name](faint)), side(faint)).kind is Kind.RECOLOURED
    assert verify(side(ALTERATIONS["jpeg-30"](faint)), side(faint)).kind is Kind.NEAR_DUPLICATE


@pytest.mark.parametrize(("one", "other"), list(permutations(range(4), 2)))
def test_different_photos_are_similar_at_best(one: int, other: int) -> None:
    photos = (ASTRONAUT, CAT, COFFEE, ROCKET)
    assert verify(side(photos[one]), side(photos[other])).kind is Kind.SIMILAR


def test_two_shots_of_one_scene_are_no_copies() -> None:
    left, right = (side(shipped(f"motorcycle_{eye}.png")) for eye in ("left", "right"))
    assert verify(left, right).kind is Kind.SIMILAR


def seen_from(photo: Image.Image, corners: Corners, size: tuple[int, int] = (400, 400)) -> Image.Image:
    """What a camera sees whose picture's corners are these places of the photo."""
    pixels = [(x * size[0], y * size[1]) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    transform = cv2.getPerspectiveTransform(np.array(corners, np.float32), np.array(pixels, np.float32))
    return Image.fromarray(
        cv2.warpPerspective(np.asarray(photo.convert("RGB")), transform, size, borderValue=(90,) * 3)
    )


def test_a_photographed_print_is_proven_with_its_corners() -> None:
    """The left edge is nearer to the camera than the right one."""
    corners = ((-30, 20), (560, -120), (560, 632), (-30, 492))
    proof = verify(side(seen_from(ASTRONAUT, corners)), original())
    assert (proof.kind, proof.cropped) == (Kind.NEAR_DUPLICATE, False)
    assert np.abs(np.array(proof.corners_in_image) * 512 - corners).max() < 12


def test_two_shots_of_one_flat_scene_are_no_copies_though_all_agrees_where_both_are() -> None:
    """The camera turned a little in between, so each shows what the other does not."""
    shots = [
        side(seen_from(ASTRONAUT, corners))
        for corners in (((0, 0), (400, 20), (400, 400), (10, 410)), ((90, 70), (500, 90), (512, 500), (100, 480)))
    ]
    assert verify(*shots).kind is Kind.SIMILAR


def test_two_crops_of_one_photo_are_copies_though_each_shows_what_the_other_does_not() -> None:
    crops = side(ASTRONAUT.crop((0, 0, 400, 420))), side(ASTRONAUT.crop((90, 70, 512, 512)).resize((300, 300)))
    assert verify(*crops).kind is Kind.NEAR_DUPLICATE


def test_a_photo_of_which_four_places_are_found_again_is_proven() -> None:
    ground = ROCKET.convert("RGB").resize((900, 600))
    ground.paste(COFFEE.resize((195, 130)), (500, 200))
    proof = verify(side(ground), side(COFFEE))
    assert (proof.kind, proof.inliers) == (Kind.NEAR_DUPLICATE, 4)


def test_a_part_that_was_pasted_into_another_picture_is_proven_though_the_rest_shows_something_else() -> None:
    ground = COFFEE.resize((640, 560))
    ground.paste(CAT.crop((60, 40, 390, 280)), (150, 180))
    assert verify(side(ground), side(CAT)).kind is Kind.NEAR_DUPLICATE


def held_before(photo: Image.Image, thing: Image.Image, size: int) -> Image.Image:
    """The photo with another thing in its middle."""
    shot = photo.convert("RGB").copy()
    shot.paste(thing.convert("RGB").resize((size, size)), (256 - size // 2, 256 - size // 2))
    return shot


@pytest.mark.parametrize(("size", "kind"), [(330, Kind.SIMILAR), (230, Kind.NEAR_DUPLICATE)])
def test_a_sticker_may_cover_a_fifth_of_a_copy_but_no_thing_two_fifths(size: int, kind: Kind) -> None:
    """Two shots from one place, between which something else was held before it, agree in all the rest."""
    shots = [side(held_before(ASTRONAUT, thing, size)) for thing in (COFFEE, CAT)]
    assert verify(*shots).kind is kind


def test_the_corners_of_a_turned_crop_are_no_sign_against_it() -> None:
    proof = proof_of(lambda photo: photo.crop((60, 60, 452, 452)).rotate(10, expand=True, fillcolor="white"))
    assert proof.confidence > 0.9


def test_different_products_with_the_same_logo_are_no_copies() -> None:
    logo = shipped("page.png").crop((20, 20, 140, 100))
    marked = []
    for photo in (CAT, COFFEE):
        photo = photo.copy()
        photo.paste(logo, (30, 30))
        marked.append(side(photo))
    assert verify(*marked).kind is Kind.SIMILAR


@pytest.mark.parametrize("colour", ["white", "teal"])
def test_where_there_is_too_little_to_see_the_answer_says_so(colour: str) -> None:
    blank = side(Image.new("RGB", (300, 200), colour))
    for pair in ((blank, blank), (blank, original()), (original(), blank)):
        proof = verify(*pair)
        assert proof.kind is Kind.TOO_LITTLE
        assert not proof.is_copy


def text(seed: int) -> Image.Image:
    """Ten lines of the same few words in another order, as care labels and price tags have them."""
    picture = Image.new("RGB", (500, 400), "white")
    words = ["wash", "cold", "iron", "low", "cotton", "size", "40", "sale", "new", "price", "100 %", "polyester"]
    lines = (" ".join(np.random.default_rng((seed, line)).choice(words, 6)) for line in range(10))
    ImageDraw.Draw(picture).multiline_text((20, 15), "\n".join(lines), "black", ImageFont.load_default(26))
    return picture


def drawing(seed: int) -> Image.Image:
    """Lines and circles."""
    picture, numbers = Image.new("RGB", (400, 400), "white"), np.random.default_rng(seed)
    pen = ImageDraw.Draw(picture)
    for x, y, *end in numbers.integers(20, 380, (14, 4)).tolist():
        pen.line((x, y, *end), "black", 3)
        pen.ellipse((x, y, x + 40, y + 40), outline="black", width=3)
    return picture


def dotted(step: int, shift: int = 0) -> Image.Image:
    """Cloth with dots."""
    picture = Image.new("RGB", (400, 400), "navy")
    pen = ImageDraw.Draw(picture)
    for x, y in product(range(-step + shift, 400, step), repeat=2):
        pen.ellipse((x, y, x + step / 3, y + step / 3), "white")
    return picture


def checked(step: int, light: str) -> Image.Image:
    """Checked cloth, with half-transparent stripes."""
    picture = Image.new("RGB", (400, 400), light)
    pen = ImageDraw.Draw(picture, "RGBA")
    for start in range(0, 400, step):
        pen.rectangle((start, 0, start + step / 3, 400), (200, 40, 40, 120))
        pen.rectangle((0, start, 400, start + step / 4), (30, 60, 120, 120))
    return picture


def lamp(colour: str) -> Image.Image:
    """A cut-out of one colour."""
    picture = Image.new("RGB", (400, 500), "white")
    ImageDraw.Draw(picture).ellipse((80, 100, 320, 340), colour)
    ImageDraw.Draw(picture).rectangle((150, 300, 250, 450), colour)
    return picture


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (text(0), text(1), Kind.SIMILAR),
        (drawing(0), drawing(1), Kind.SIMILAR),
        (dotted(40), dotted(40, 15), Kind.SIMILAR),
        (dotted(40), dotted(50), Kind.SIMILAR),
        (checked(40, "linen"), checked(55, "linen"), Kind.SIMILAR),
        (lamp("olive"), lamp("purple"), Kind.TOO_LITTLE),
        (lamp("olive"), lamp("olive"), Kind.TOO_LITTLE),
    ],
    ids=["text", "drawings", "shifted dots", "larger dots", "larger checks", "cut-outs", "one cut-out"],
)
def test_hard_pictures_are_never_proven_falsely(one: Image.Image, other: Image.Image, kind: Kind) -> None:
    assert verify(side(one), side(other)).kind is kind


@pytest.mark.parametrize("picture", [text(0), drawing(0)], ids=["text", "drawing"])
def test_a_crop_of_a_hard_picture_is_proven(picture: Image.Image) -> None:
    crop = picture.crop((40, 40, picture.width - 40, picture.height - 40))
    assert verify(side(crop), side(picture)).kind is Kind.NEAR_DUPLICATE


def test_keypoints_of_another_picture_prove_nothing() -> None:
    """Whoever sends fingerprints of his own may send any."""
    large, blank = (
        making.make(np.asarray(photo), *photo.size) for photo in (CAT, Image.new("RGB", (451, 300), "teal"))
    )
    with pytest.raises(InvalidPicture, match="as large as its keypoints say, 160 x 106, got"):
        Side.of(Fingerprint(making.make(np.asarray(CAT), 300, 300).picture, large.keypoints))
    forged = Side.of(Fingerprint(blank.picture, large.keypoints))
    assert not verify(forged, forged).is_copy
