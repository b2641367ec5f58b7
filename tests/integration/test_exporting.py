"""Networks of torch are written as ONNX files, once they compute what the original does."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from lookalike_embedder import exporting
from lookalike_embedder.__main__ import app
from lookalike_embedder.config import Config
from lookalike_embedder.errors import InvalidModel, Unsupported
from lookalike_embedder.image import Limits
from lookalike_embedder.loading import load_model
from lookalike_embedder.preprocessing import Preprocessing
from tests.lazily import Lazily

if TYPE_CHECKING:
    import torch

    from lookalike_embedder.model import originals
else:
    torch, originals = Lazily("torch"), Lazily("lookalike_embedder.model.originals")

LIMITS = Limits(1 << 20, 1 << 20)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "readme.txt").write_text("no photo")
    for number in range(4):
        file = io.BytesIO()
        noise = np.random.default_rng(number).integers(0, 256, (7, 9, 3), np.uint8)
        Image.fromarray(noise).resize((300, 240)).save(file, "JPEG")
        (folder / f"{number}.jpg").write_bytes(file.getvalue())
    return folder


def tiny() -> "originals.Original":
    torch.manual_seed(0)
    nn = torch.nn
    network = nn.Sequential(nn.Conv2d(3, 48, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    return originals.Original(
        network, "Tiny Net", "CC0-1.0", Preprocessing(32, 0.9, bicubic=True), (0.5,) * 3, (0.25,) * 3
    )


def exported(original: "originals.Original", file: Path, photos: Path, **options: float | bool) -> exporting.Exported:
    found = list(exporting.photos_of(photos, LIMITS, original.preprocessing))
    return exporting.export(original, file, found, **{"int8": False, "min_cosine": None, **options})


@pytest.mark.parametrize("int8", [False, True])
def test_what_is_exported_is_served(tmp_path: Path, photos: Path, int8: bool) -> None:
    file = tmp_path / "tiny.onnx"
    done = exported(tiny(), file, photos, int8=int8, min_cosine=0.9 if int8 else None)
    assert (done.photos, done.dimensions) == (4, 48)
    said = load_model(Config(cache_dir=tmp_path, model=file)).description
    assert (said.precision, said.architecture) == (("int8", "tiny-net-int8") if int8 else ("fp32", "tiny-net"))


def test_a_real_backbone_is_exported_with_what_its_author_says_of_it(tmp_path: Path, photos: Path) -> None:
    file = tmp_path / "mobilenet.onnx"
    done = exported(originals.torchvision("mobilenet_v3_small", pretrained=False), file, photos)
    assert done.dimensions == 1024
    assert done.worst_author_cosine is not None
    assert done.worst_author_cosine > 0.95
    assert "crop = 0.875" in file.with_suffix(".toml").read_text()


def test_what_does_not_compute_the_same_is_not_written(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(InvalidModel, match=r"over 4 photos is .*, at least 1.1 is needed; nothing was written"):
        exported(tiny(), tmp_path / "tiny.onnx", photos, min_cosine=1.1)
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    file = tmp_path / "state.safetensors"
    save_file({"0.bias": torch.zeros(48)}, file)
    with pytest.raises(Unsupported, match=r"lacks 1 tensors of the network, among them 0.weight"):
        originals.fill(tiny(), file)
    with pytest.raises(Unsupported, match=r"must end in \.safetensors"):
        originals.fill(tiny(), tmp_path / "state.pth")


@pytest.mark.parametrize("source", ["keras:vgg16", "timm:", "resnet50"])
def test_an_unknown_source_is_refused(source: str) -> None:
    with pytest.raises(Unsupported, match="must be timm:NAME, torchvision:NAME or vgg16"):
        exporting.source_of(source)


def export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_the_command_writes_a_pair_that_is_served(tmp_path: Path, photos: Path) -> None:
    file = tmp_path / "net.onnx"
    done = export("torchvision:mobilenet_v3_small", file, photos, "--random", "--licence", "CC0-1.0")
    assert done.exit_code == 0, done.output
    for said in (f"{file}, {tmp_path / 'net.toml'}\n", "1024 dimensions, licence CC0-1.0", "over 4 photos: 1.0000"):
        assert said in done.output
    served = load_model(Config(cache_dir=tmp_path, model=file, max_batch_size=1)).description
    assert (served.architecture, served.dimensions) == ("mobilenet_v3_small", 1024)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("vgg16", "net.bin", "photos"), "file: must end in .onnx, got net.bin"),
        (("timm:resnet18", "net.onnx", "photos"), "one of --pretrained, --state FILE and --random is needed"),
        (("torchvision:resnet0", "net.onnx", "photos", "--random"), "resnet0"),
        (("torchvision:alexnet", "net.onnx", "empty", "--random"), "there is no photo in empty"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = export(*arguments)
    assert done.exit_code == 1
    assert said in done.output
    assert {file.name for file in tmp_path.iterdir()} == {photos.name, "empty"}
