"""The GPU check's own arithmetic: its weights, what it finds missing, and what it makes of its results."""

import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lookalike_embedder.weights import SHAPES
from tools.gpu import needs, photos, report, weights
from tools.gpu.record import Record, lines_of
from tools.gpu.run import end
from tools.gpu.timing import flop_per_image

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return weights.random_tensors()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_weights_are_read_by_hand_as_the_library_wrote_them(
    tensors: dict[str, np.ndarray], tmp_path: Path, kind: type
) -> None:
    written: dict[str, Any] = {name: values.astype(kind) for name, values in tensors.items()}
    save_file({**written, "classifier.0.bias": np.zeros(3, kind)}, tmp_path / "trunk.safetensors")
    found = weights.read(tmp_path / "trunk.safetensors")
    assert found.keys() == SHAPES.keys()
    assert all((found[name] == written[name]).all() for name in SHAPES)
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}


def test_weights_in_bf16_are_the_upper_half_of_fp32(tensors: dict[str, np.ndarray], tmp_path: Path) -> None:
    header, raw = {}, b""
    for name, values in tensors.items():
        half = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [len(raw), len(raw) + len(half)]}
        raw += half
    text = json.dumps(header).encode()
    (tmp_path / "trunk.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + raw)
    found = weights.read(tmp_path / "trunk.safetensors")
    np.testing.assert_allclose(found["features.0.weight"], tensors["features.0.weight"], rtol=2**-7)


def test_a_file_without_the_trunk_is_refused_by_the_names_that_it_lacks(tmp_path: Path) -> None:
    save_file({"features.0.bias": np.zeros(64, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(SystemExit, match=r"lacks .*features\.0\.weight"):
        weights.read(tmp_path / "other.safetensors")


def test_made_weights_neither_let_activations_die_nor_grow(tensors: dict[str, np.ndarray]) -> None:
    """He's rule, looked at over single neurons: the power that goes in comes out, through a ReLU."""
    random = np.random.default_rng(1)
    for kernel in (tensors["features.2.weight"], tensors["features.28.weight"]):
        flat = kernel.reshape(len(kernel), -1)
        inputs = np.maximum(random.standard_normal((200, flat.shape[1])), 0) * np.sqrt(2)
        outputs = np.maximum(inputs @ flat.T, 0)
        assert 0.8 < np.square(outputs).mean() / np.square(inputs).mean() < 1.25


def test_made_photos_are_files_of_the_size_of_a_shops_and_all_different() -> None:
    made = photos.generate(5)
    assert len(set(made)) == 5
    assert 25_000 < np.mean([len(data) for data in made]) < 42_000


def test_an_image_is_31_gflop() -> None:
    assert flop_per_image() == pytest.approx(30.7e9, rel=0.01)


def test_what_is_missing_is_named_with_the_version_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    min_versions = needs.min_versions(ROOT)
    versions = {**dict.fromkeys(min_versions, "99.0"), "grpcio": "1.62.0", "protobuf": "5.1"}
    del versions["prometheus-client"]

    def version(package: str) -> str:
        try:
            return versions[package]
        except KeyError:
            raise needs.metadata.PackageNotFoundError(package) from None

    monkeypatch.setattr(needs.metadata, "version", version)
    assert not needs.lacks("nothing", min_versions)
    assert [str(lack) for lack in needs.lacks("model", min_versions)] == ["protobuf >= 6.33.5 (here is 5.1)"]
    assert [lack.package for lack in needs.lacks("engine", min_versions)] == ["protobuf", "prometheus-client"]
    assert "grpcio >= 1.80 (here is 1.62.0)" in [str(lack) for lack in needs.lacks("rpc", min_versions)]


def test_of_two_wheels_the_compiled_one_is_taken_if_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.platform, "machine", lambda: "x86_64")
    for name in (
        "protobuf-6.33.5-py3-none-any",
        "protobuf-6.33.5-cp39-abi3-manylinux2014_x86_64",
        "protobuf-6.33.5-cp39-abi3-manylinux2014_aarch64",
        "grpcio_status-1.80.0-py3-none-any",
        "other-1.0-py3-none-any",
    ):
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as wheel:
            wheel.writestr(f"{name.partition('-')[0]}/which.txt", name)
    brought = needs.unpack(tmp_path, ["protobuf", "grpcio-status"], tmp_path / "site")
    assert brought == ["grpcio_status-1.80.0-py3-none-any.whl", "protobuf-6.33.5-cp39-abi3-manylinux2014_x86_64.whl"]
    assert "abi3" in (tmp_path / "site" / "protobuf" / "which.txt").read_text()


def test_what_was_found_before_a_run_was_cut_off_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.jsonl"
    record = Record(file, "bare")
    record.figure("gpu_bare_images_per_second", 1234.567, "batches of 64")
    record.ended("timed out", 12.34, "its 12 s are over")
    with file.open("a") as half:
        half.write('{"part": "engine", "figure": "gpu_en')
    lines = lines_of(file)
    assert [line.get("figure") for line in lines] == ["gpu_bare_images_per_second", None]
    assert lines[0]["value"] == 1234.6
    assert "timed out" in capsys.readouterr().out


def results(**values: float | None) -> list[report.Line]:
    return [{"part": "some", "figure": name, "value": value, "on": "no luck"} for name, value in values.items()]


def test_figures_over_two_parts_and_what_misses_its_bound() -> None:
    lines = report.with_ratios(
        results(gpu_bare_images_per_second=1000.0, gpu_engine_images_per_second=950.0, gpu_rpc_images_per_second=700.0),
        bounded=True,
    )
    found = json.loads(report.summary(lines))
    assert (found["gpu_serving_over_bare"], found["gpu_rpc_over_bare"]) == (0.95, 0.7)
    assert found["missed"] == report.failed(lines) == ["gpu_rpc_over_bare"]
    assert found["gpu_images_per_second"] == 950.0


def test_what_could_not_be_had_is_null_with_its_reason() -> None:
    lines = report.with_ratios(
        [*results(gpu_litserve_images_per_second=None), {"part": "bare", "ended": "timed out", "seconds": 9.0}],
        bounded=True,
    )
    found = json.loads(report.summary(lines))
    assert list(found)[: len(report.NAMES)] == list(report.NAMES)
    assert all(found[name] is None for name in report.NAMES)
    assert "no luck" in found["reasons"]["gpu_vs_litserve_tuned"]
    assert set(report.NAMES) <= found["reasons"].keys()
    assert found["parts"] == {"bare": "timed out"}
    assert report.failed(lines) == ["bare"]


@pytest.mark.parametrize(
    ("rates", "limit"),
    [
        ((5000, 4900, 9000, 4800, 4700, 4650), "the GPU"),
        ((5000, 4900, 2000, 1900, 1900, 1900), "decoding"),
        ((5000, 4900, 9000, 4800, 4700, 2500), "client"),
    ],
)
def test_the_stage_that_limits_the_whole_way_is_named(rates: tuple[float, ...], limit: str) -> None:
    names = (
        "gpu_bare_images_per_second",
        "gpu_engine_images_per_second",
        "decode_images_per_second",
        "gpu_engine_jpeg_images_per_second",
        "rpc_lean_images_per_second",
        "gpu_rpc_images_per_second",
    )
    lines = report.with_ratios(results(**dict(zip(names, rates, strict=True))), bounded=True)
    assert next(line for line in lines if line["figure"] == "gpu_rpc_limit")["value"] == limit


def test_a_part_that_is_ended_leaves_nothing_behind() -> None:
    """Also no program in a session of its own, as LitServe is run."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert not is_over(child)
        end(process.pid)
    assert process.returncode == -signal.SIGKILL
    while not is_over(child):  # the system takes its time; the test's own limit bounds ours
        pass


def is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
