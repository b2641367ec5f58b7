"""What is computed on a CPU follows from what was measured there, which is kept as long as it is of this processor."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike_embedder import autotuning, processor
from lookalike_embedder.autotuning import WAYS, Trial, Trials
from lookalike_embedder.errors import Unsupported

MEASURED = (
    Trial("fp32", 0.124, 1.0),
    Trial("bf16", 0.064, 0.9999),
    Trial("bf16-winograd", 0.056, 0.9998),
    Trial("int8", 0.034, 0.9985),
)
CPUINFO = (
    "processor\t: 0\nmodel name\t: A\nflags\t\t: fpu avx2 avx_vnni\ncpu MHz\t: {}\n\nprocessor\t: 1\nflags\t: none\n"
)
WEIGHTS = "f" * 64


def seconds(*numbers: float) -> Trials:
    return tuple(replace(trial, seconds=number) for trial, number in zip(MEASURED, numbers, strict=True))


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "cpuinfo"
    file.write_text(CPUINFO.format(2400))
    monkeypatch.setattr(processor, "CPUINFO", file)
    return file


def key(calibration: str = "") -> dict[str, object]:
    return autotuning.key(WEIGHTS, WAYS, calibration)


class Measuring:
    """Counts how often it is asked to measure."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Trials:
        self.count += 1
        return MEASURED


@pytest.mark.parametrize(
    ("trials", "precision", "way"),
    [
        (MEASURED, "auto", "bf16-winograd"),  # and never int8, which is faster still
        (MEASURED, "bf16", "bf16-winograd"),
        (seconds(0.124, 0.064, 0.062, 0.034), "auto", "bf16"),  # a few percent are not worth being less exact
        (seconds(0.124, 0.390, 0.230, 0.065), "auto", "fp32"),  # a processor that only imitates bf16
        (seconds(0.124, 0.390, 0.230, 0.065), "bf16", "bf16-winograd"),
        ((MEASURED[0], replace(MEASURED[1], cosine=0.99), replace(MEASURED[2], cosine=float("nan"))), "auto", "fp32"),
    ],
)
def test_the_fastest_way_of_the_same_space_is_chosen(trials: Trials, precision: str, way: str) -> None:
    chosen, marked = autotuning.choose(trials, precision)
    assert chosen == WAYS[way]
    assert [trial.way for trial in marked if trial.chosen] == [way]


def test_a_precision_that_is_wrong_on_this_processor_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"bf16 must have a cosine of at least 0.999 .* they have bf16 0.9000"):
        autotuning.choose((MEASURED[0], replace(MEASURED[1], cosine=0.9)), "bf16")


def test_people_are_told_what_int8_would_gain_and_that_it_is_apart() -> None:
    said = autotuning.described(autotuning.choose(MEASURED, "auto")[1])
    assert said.startswith("computing in bf16-winograd; an image on one core: fp32 124 ms (cosine 1.0000), ")
    assert said.endswith("int8 34 ms (cosine 0.9985); int8 is an embedding space of its own")


def test_a_processor_is_measured_once(cpuinfo: Path, tmp_path: Path) -> None:
    measure = Measuring()
    assert autotuning.find(tmp_path / "new", key(), measure) == MEASURED
    cpuinfo.write_text(CPUINFO.format(3600))  # it runs faster now, and is the same
    assert autotuning.find(tmp_path / "new", key(), measure) == MEASURED
    assert measure.count == 1
    autotuning.find(tmp_path / "new", key(), measure, anew=True)
    assert measure.count == 2


def test_whatever_the_measurement_depends_on_is_measured_again(
    cpuinfo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [key(), key("calibrated"), autotuning.key("0" * 64, WAYS, ""), autotuning.key(WEIGHTS, ["fp32", "bf16"], "")]
    for text in (CPUINFO.replace("avx_vnni", ""), CPUINFO.replace(": A", ": B")):
        cpuinfo.write_text(text)
        keys.append(key())
    for patch in ((autotuning, "CORES", 1024), (autotuning.metadata, "version", lambda _: "0.1")):
        monkeypatch.setattr(*patch)
        keys.append(key())
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    keys.append(key())
    assert len({autotuning.cache_file(tmp_path, one) for one in keys}) == len(keys) == 9


def broken(text: str) -> str:
    return text[:-20]


def of_another(text: str) -> str:
    """A file that was copied from another machine, and renamed."""
    document = json.loads(text)
    document["key"]["processor"] = "another"
    return json.dumps(document)


def changed(**fields: object) -> str:
    return json.dumps({"key": key(), "trials": [{"way": way, "seconds": 1, "cosine": 1} | fields for way in WAYS]})


@pytest.mark.parametrize(
    "seen", [broken, of_another, lambda _: "[]", lambda _: changed(seconds=0), lambda _: changed(way="x")]
)
def test_a_file_that_is_broken_or_foreign_is_measured_again(cpuinfo: Path, tmp_path: Path, seen: object) -> None:
    measure = Measuring()
    autotuning.find(tmp_path, key(), measure)
    file = autotuning.cache_file(tmp_path, key())
    file.write_text(seen(file.read_text()))
    assert autotuning.find(tmp_path, key(), measure) == MEASURED
    assert measure.count == 2
    autotuning.find(tmp_path, key(), measure)
    assert measure.count == 2  # and the file is right again


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    measure = Measuring()
    assert autotuning.find(tmp_path / "file" / "cache", key(), measure) == MEASURED
    assert autotuning.find(tmp_path / "file" / "cache", key(), measure) == MEASURED
    assert measure.count == 2


def test_a_processor_is_known_by_its_first_core(cpuinfo: Path) -> None:
    assert processor.instructions() == {"fpu", "avx2", "avx_vnni"}
    assert processor.identity()["processor"] == "A"
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\nCPU part\t: 0xd4f\n")  # ARM
    assert processor.instructions() == {"fp", "asimd", "bf16"}
    assert processor.identity()["processor"] == "0xd4f"
    cpuinfo.unlink()  # not Linux
    assert processor.instructions() == frozenset()
    assert processor.identity()["processor"]
