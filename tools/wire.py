"""Record what a client and both servers of this version send over the wire, for later versions.

    python tools/wire.py EMBEDDER SEARCHER FOLDER [PROTOS]

EMBEDDER and SEARCHER are addresses of running servers, FOLDER is the folder to fill, `tests/wire/VERSION`. The wire is
known by its descriptors alone. So, with the protos and servers of an older version, this records that one; RPCs and
fields that it does not know are left out.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "image.binpb"
EXCHANGES = "exchanges.json"


def pool_of(image: bytes) -> descriptor_pool.DescriptorPool:
    """Return the descriptors of a recorded version, in a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(image).file:
        pool.Add(file)
    return pool


def methods(pool: descriptor_pool.DescriptorPool) -> dict[str, MethodDescriptor]:
    """Return all RPCs of both services, by name."""
    services = (pool.FindServiceByName(f"lookalike.v1.{name}Service") for name in ("Embedder", "Searcher"))
    return {method.name: method for service in services for method in service.methods}


def call(channel: grpc.Channel, method: MethodDescriptor, requests: list[bytes]) -> list[bytes]:
    """Return the server's answers to these requests, in bytes."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    streams: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
        path
    )  # on the wire, all calls are equal
    return list(streams(iter(requests), timeout=60))


def requests_of(method: MethodDescriptor, requests: list[dict[str, Any]]) -> list[Message]:
    """Return the requests, without fields that this version does not know."""
    message_class = message_factory.GetMessageClass(method.input_type)
    return [json_format.ParseDict(fields, message_class(), ignore_unknown_fields=True) for fields in requests]


def record(embedder: str, searcher: str, image: bytes) -> list[dict[str, Any]]:
    """Make the calls of `scenario.json` in order. Returns the method, requests and answers of each."""
    methods_by_name, exchanges = methods(pool_of(image)), []
    scenario = json.loads((ROOT / "tests" / "wire" / "scenario.json").read_text())
    channels = {name: grpc.insecure_channel(address) for name, address in (("E", embedder), ("S", searcher))}
    for step in scenario:
        if method := methods_by_name.get(step["method"]):
            requests = [message.SerializeToString() for message in requests_of(method, step["requests"])]
            answers = call(channels[method.containing_service.name[0]], method, requests)
            exchanges.append({"method": method.name, "requests": texts(requests), "answers": texts(answers)})
    return exchanges


def texts(messages: list[bytes]) -> list[str]:
    """Return the messages in Base64, which JSON can hold."""
    return [base64.b64encode(message).decode() for message in messages]


def main(embedder: str, searcher: str, folder: Path, protos: Path) -> None:
    """Fill the folder with the descriptors and the exchanges."""
    folder.mkdir(parents=True, exist_ok=True)
    buf = Path(sys.executable).with_name("buf")
    subprocess.run([buf, "build", protos, "--exclude-source-info", "-o", folder / IMAGE], check=True)  # noqa: S603
    exchanges = record(embedder, searcher, (folder / IMAGE).read_bytes())
    lines = ",\n".join(json.dumps(exchange) for exchange in exchanges)
    (folder / EXCHANGES).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4:] else ROOT)
