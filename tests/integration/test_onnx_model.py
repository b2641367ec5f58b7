"""Models of ONNX files: what they compute, what their files must say, and what is said of those that are wrong."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from lookalike_embedder import image, loading
from lookalike_embedder.config import Config
from lookalike_embedder.errors import InvalidModel, OutOfMemory, Unsupported
from lookalike_embedder.image import Limits
from lookalike_embedder.job import Lane
from lookalike_embedder.onnx_model import compute, proof
from lookalike_embedder.preprocessing import Preprocessing
from tests import onnx_files
from tests.onnx_files import SIDE, write

LIMITS = Limits(1 << 20, 1 << 20)
Change = dict[str, str | None]


def config(tmp_path: Path, **options: object) -> Config:
    return Config(cache_dir=tmp_path, port=0, decode_threads=1, **options)


def noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8))


def space_of(file: Path) -> str:
    return compute.load(file, "cpu").identity(8).space


@pytest.mark.parametrize("dimensions", [384, 1024])
def test_a_model_says_of_itself_what_it_is(tmp_path: Path, dimensions: int) -> None:
    loaded = loading.load_model(config(tmp_path, model=write(tmp_path, dimensions)))
    said = loaded.description
    assert (said.dimensions, said.architecture, said.device, said.precision) == (dimensions, "tiny", "cpu", "fp32")
    assert said.space.startswith("tiny-")
    assert 1 <= said.max_batch_size <= 64
    assert loaded.preprocessing == Preprocessing(SIDE)


def test_vectors_are_what_the_network_makes_of_scaled_pixels(tmp_path: Path) -> None:
    file = write(tmp_path, 8, changes={"input__mean": "[0.1, 0.2, 0.3]", "input__channels": '"bgr"'})
    filters = onnx.numpy_helper.to_array(onnx.load(file).graph.initializer[0])
    pixels = noise(3)
    found = compute.load(file, "cpu")(pixels)
    scaled = (np.stack(pixels) / 255 - [0.1, 0.2, 0.3]) / 0.25
    cells = scaled[..., ::-1].reshape(3, SIDE // 8, 8, SIDE // 8, 8, 3)
    answers = np.maximum(np.einsum("nyaxbc,dcab->nyxd", cells, filters), 0).mean(axis=(1, 2))
    expected = answers / np.linalg.norm(answers, axis=1, keepdims=True)
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_feature_maps_are_pooled(tmp_path: Path, pooling: str) -> None:
    model = compute.load(write(tmp_path, 8, pooled=False, changes={"output__pooling": f'"{pooling}"'}), "cpu")
    maps = model.output(noise(2))
    pooled = maps.mean(axis=(2, 3)) if pooling == "mean" else maps.max(axis=(2, 3))
    assert np.allclose(model(noise(2)), pooled / np.linalg.norm(pooled, axis=1, keepdims=True), atol=1e-6)


def test_both_lanes_and_any_batch_give_the_same_vectors(tmp_path: Path) -> None:
    file = write(tmp_path, changes={"limits__max_batch_size": "4"})
    model, pauses = compute.load(file, "cpu"), []
    pixels = noise(10)
    alone = np.concatenate([model([one]) for one in pixels])
    assert np.allclose(model(pixels, Lane.BULK, lambda: pauses.append(1)), alone, atol=1e-6)
    assert len(pauses) == 3  # before each part of at most four


def test_a_model_of_one_image_at_a_time_is_served(tmp_path: Path) -> None:
    loaded = loading.load_model(config(tmp_path, model=write(tmp_path, batch=1)))
    assert loaded.description.max_batch_size == 1
    assert loaded.compute(noise(3), Lane.BULK, lambda: None).shape == (3, 384)


def test_the_space_follows_the_weights_and_what_changes_a_vector_alone(tmp_path: Path) -> None:
    def changed(**changes: str) -> str:
        return space_of(write(tmp_path, changes=changes))

    first = space_of(write(tmp_path))
    assert changed(licence='"MIT"', limits__max_batch_size="3") == first
    others = [
        changed(input__mean="[0.4, 0.5, 0.5]"),
        changed(input__channels='"bgr"'),
        changed(input__resize='"crop"'),
        changed(input__interpolation='"bicubic"'),
        changed(name='"other"'),
        space_of(write(tmp_path, 385)),
    ]
    assert len({first, *others}) == 7


def test_weights_in_a_file_of_their_own_are_part_of_the_space(tmp_path: Path) -> None:
    beside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    first = space_of(write(tmp_path, **beside))
    weights = tmp_path / "weights.bin"
    content = bytearray(weights.read_bytes())
    content[3] ^= 1
    weights.write_bytes(content)
    assert space_of(tmp_path / "tiny.onnx") != first
    weights.unlink()
    with pytest.raises(InvalidModel, match=r"weights in 'weights.bin', which is not beside it"):
        space_of(tmp_path / "tiny.onnx")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"input__size": '"224"'}, r"tiny.toml, line 5: size = \"224\": must be the side of the square"),
        ({"input__size": "0"}, r"line 5: size = 0: must be the side .*, 1 to 2048 pixels"),
        ({"input__mean": "[0.5, 0.5]"}, r"line 9: mean = \[0.5, 0.5\]: must be three numbers"),
        ({"input__std": "[0.5, 0.5, 0]"}, r"line 10: std = .*: must be three numbers above 0"),
        ({"input__channels": '"rbg"'}, r"line 8: .*: must be 'rgb' or 'bgr'"),
        ({"input__crop": "0.9"}, r"line 11: crop = 0.9: must be left out where resize is 'squash'"),
        ({"output__normalization": '"l2"'}, r"line 15: normalization = .*: is not known; known are .*normalisation"),
        ({"licence": None}, r"tiny.toml: licence: is missing; it must be the licence of the weights"),
        ({"output__pooling": None}, r"tiny.toml, line 11: output.pooling: is missing"),
        ({"name": '"Größe"'}, r"line 1: .*: must be 1 to 100 of a-z"),
        ({"input__size": "= 3"}, r"tiny.toml: Invalid value \(at line 5"),
        ({"input__name": '"x"'}, r"has the inputs 'pixels' \[n, 3, 32, 32\]; see .*line 4: name = \"x\""),
        ({"output__name": '"y"'}, r"has the outputs 'vector' \[n, 384\]; see .*line 12: name = \"y\""),
        ({"input__size": "64"}, r"'pixels' \[n, 3, 32, 32\] must take \[n, 3, 64, 64\]; see .*line 5: size = 64"),
        ({"output__pooling": '"mean"'}, r"'vector' \[n, 384\] must have the shape \[n, tokens, d\] or .*line 13"),
        ({"output__normalisation": '"none"'}, r"vectors must have length 1, this one has .*line 14"),
    ],
)
def test_a_toml_that_is_wrong_is_refused_with_its_line(tmp_path: Path, changes: Change, said: str) -> None:
    file = write(tmp_path, changes=changes)
    with pytest.raises(InvalidModel, match=said):
        loading.load_model(config(tmp_path, model=file))


def batch_of_two(folder: Path) -> Path:
    return write(folder, batch=2)


def no_toml(folder: Path) -> Path:
    file = write(folder)
    file.with_suffix(".toml").unlink()
    return file


def no_onnx(folder: Path) -> Path:
    file = write(folder)
    file.unlink()
    return file


def garbage(folder: Path) -> Path:
    file = write(folder)
    file.write_bytes(b"<html>not found</html>")
    return file


def cut_off(folder: Path) -> Path:
    file = write(folder)
    file.write_bytes(file.read_bytes()[:-1000])
    return file


def empty(folder: Path) -> Path:
    file = write(folder)
    file.write_bytes(b"")
    return file


def unknown_operator(folder: Path) -> Path:
    file = write(folder)
    model = onnx.load(file)
    model.graph.node[1].op_type = "Relux"
    onnx.save(model, file)
    return file


def too_many_dimensions(folder: Path) -> Path:
    return write(folder, 4001)


def outside(folder: Path) -> Path:
    file = write(folder, save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = onnx.load(file, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../weights.bin"
    file.write_bytes(model.SerializeToString())
    return file


def graph_of(
    folder: Path, nodes: list[onnx.NodeProto], *more: onnx.ValueInfoProto, kind: int = TensorProto.FLOAT
) -> Path:
    file = write(folder)
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("pixels", kind, ["n", 3, SIDE, SIDE]), *more],
        [helper.make_tensor_value_info("vector", kind, ["n", "d"])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), file)
    return file


def two_inputs(folder: Path) -> Path:
    nodes = [helper.make_node("Flatten", ["pixels"], ["flat"]), helper.make_node("Add", ["flat", "more"], ["vector"])]
    return graph_of(folder, nodes, helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def integers(folder: Path) -> Path:
    return graph_of(folder, [helper.make_node("Flatten", ["pixels"], ["vector"])], kind=TensorProto.INT32)


def training(folder: Path) -> Path:
    """A picture's vector depends on the others of its batch: the difference to the mean over the batch."""
    mean = helper.make_node("ReduceMean", ["cells"], ["mean"], axes=[0], keepdims=1)
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["cells"]),
        mean,
        helper.make_node("Add", ["cells", "mean"], ["moved"]),
        helper.make_node("Sub", ["moved", "cells"], ["vector"]),
    ]
    return graph_of(folder, nodes)


def not_a_number(folder: Path) -> Path:
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Sub", ["flat", "flat"], ["vector"]),
    ]
    return graph_of(folder, nodes)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (no_toml, r"cannot read .*tiny.toml, which must lie beside the ONNX file"),
        (no_onnx, r"cannot read .*tiny.onnx"),
        (garbage, r"tiny.onnx is no ONNX file"),
        (cut_off, r"tiny.onnx is no ONNX file"),
        (empty, r"tiny.onnx is no ONNX file: it has no graph"),
        (unknown_operator, r"ONNX Runtime cannot load .*Relux"),
        (batch_of_two, r"'pixels' \[2, 3, 32, 32\] takes 2 images and no other number"),
        (too_many_dimensions, r"1 to 4,000 dimensions, these have 4,001"),
        (outside, r"weights in '../weights.bin', which is outside its folder"),
        (two_inputs, r"must have one input, has 'pixels' \[n, 3, 32, 32\], 'more' \[1\]"),
        (integers, r"'pixels' .* must be float32 or float16, and not tensor\(int32\)"),
        (training, r"the same alone and in a batch; .*training mode"),
        (not_a_number, r"has what is no number, or no length"),
    ],
)
def test_a_model_that_is_wrong_is_refused_at_start(tmp_path: Path, made: Callable[[Path], Path], said: str) -> None:
    with pytest.raises(InvalidModel, match=said):
        loading.load_model(config(tmp_path, model=made(tmp_path)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": Path("vgg16.safetensors")}, "weights: are VGG16's"),
        ({"descriptor": "rmac"}, "descriptor: is of VGG16"),
        ({"precision": "bf16"}, "precision: is what the file"),
        ({"max_batch_size": 65}, r"max-batch-size: must be at most 64 .*, got 65; see .*limits.max_batch_size"),
        ({"device": "cuda"}, "device: 'cuda' was asked for, but ONNX Runtime cannot: .*onnx-cuda"),
    ],
)
def test_options_that_do_not_fit_a_model_are_refused(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        loading.load_model(config(tmp_path, model=write(tmp_path), **options))


def test_openvino_is_refused_for_vgg16(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="device: 'openvino' is for the ONNX file of --model"):
        loading.load_model(config(tmp_path, device="openvino"))


@pytest.mark.parametrize(
    ("device", "first"),
    [("auto", "OpenVINO"), ("openvino", "OpenVINO"), ("cpu", "CPU")],
    ids=["auto", "openvino", "cpu"],
)
def test_openvino_computes_where_it_is_installed_unless_cpu_is_asked_for(
    tmp_path: Path, device: str, first: str
) -> None:
    if "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(Unsupported, match=r"'openvino' was asked for, but this onnxruntime .* extra onnx-openvino"):
            compute.load(write(tmp_path), "openvino")
        pytest.skip("the rest needs the extra onnx-openvino")
    model = compute.load(write(tmp_path), device)
    assert model._sessions[Lane.BULK].get_providers()[0] == f"{first}ExecutionProvider"
    assert model.device == "cpu"
    plain = compute.load(write(tmp_path), "cpu")
    assert np.allclose(model(noise(3)), plain(noise(3)), atol=1e-4)


class Failing:
    """A session that fails with these messages, one at each call, and then computes nothing."""

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)

    def run(self, *_: object) -> list[np.ndarray]:
        if self.messages:
            raise Exception(self.messages.pop(0))  # noqa: TRY002 - as ONNX Runtime's
        return [np.zeros((1, 8), np.float32)]


def test_that_memory_has_run_out_is_told_from_other_failures(tmp_path: Path) -> None:
    model = compute.load(write(tmp_path, 8), "cpu")
    model._sessions = dict.fromkeys(Lane, Failing("Failed to allocate memory for requested buffer of size 7", "other"))
    with pytest.raises(OutOfMemory):
        model(noise(1))
    with pytest.raises(Exception, match="other"):
        model(noise(1))


@pytest.mark.parametrize("crop", [1.0, 0.875])
def test_the_middle_of_a_picture_is_what_a_model_with_a_crop_sees(crop: float) -> None:
    """As torchvision does it: the shorter side is scaled, and a square is cut from the middle."""
    picture = Image.effect_noise((512, 256), 90).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    _, pixels = image.decode(file.getvalue(), limits=LIMITS, preprocessing=Preprocessing(28, crop))
    short = round(28 / crop)
    long = 2 * short
    left, top = (long - 28) // 2, (short - 28) // 2
    whole = np.asarray(picture.resize((long, short), Image.Resampling.BILINEAR), float)
    cut = whole[top : top + 28, left : left + 28]
    assert np.corrcoef(pixels.ravel(), cut.ravel())[0, 1] > 0.9
    _, squashed = image.decode(file.getvalue(), limits=LIMITS, preprocessing=Preprocessing(28))
    assert np.corrcoef(squashed.ravel(), cut.ravel())[0, 1] < 0.5


def test_dimensions_are_proven(tmp_path: Path) -> None:
    assert proof.dimensions(compute.load(write(tmp_path, 100), "cpu")) == 100


def test_comments_and_quoted_keys_change_nothing(tmp_path: Path) -> None:
    file = write(tmp_path)
    before = space_of(file)
    text = onnx_files.toml().replace("size = 32", '"size" = 32  # pixels')
    file.with_suffix(".toml").write_text(f"# of somebody\n{text}")
    assert space_of(file) == before


def test_nobody_is_told_that_the_embedder_runs(tmp_path: Path) -> None:
    """From 1.29 on, ONNX Runtime would begin by making an identifier of the machine in the home folder."""
    start = [sys.executable, "-c", "import lookalike_embedder.onnx_model.sessions"]
    subprocess.run(start, env={"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
