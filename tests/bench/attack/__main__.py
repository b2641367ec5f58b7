"""Attacks the servers and the gateway, over loopback and bounded in count and time; honest callers work meanwhile.

    python -m tests.bench.attack [--rounds N]

Each round starts all processes afresh. A figure is the worst of the rounds. The last line is JSON.
"""

import argparse
import asyncio
from collections.abc import Sequence
from typing import Final

from tests.bench.attack import grpc, http
from tests.bench.figures import Figure, show

NAMES: Final = (
    "refused_calls_memory_growth_mb",
    "head_flood_memory_mb",
    "held_connections_after_60s",
    "health_wait_ms_under_attack",
    "answers_lost_of_honest_callers",
)


def figures(rounds: Sequence[tuple[dict[str, float], dict[str, float]]]) -> list[Figure]:
    """The worst of each figure over the rounds of both parts: the servers', and the gateway's."""
    servers, gateway = [[round_[part] for round_ in rounds] for part in (0, 1)]

    def worst(part: Sequence[dict[str, float]], name: str) -> float:
        return max(found[name] for found in part)

    lost = [one["answers_lost_of_honest_callers"] + two["http_answers_lost_of_honest_callers"] for one, two in rounds]
    wait = max(worst(servers, "health_wait_ms_under_attack"), worst(gateway, "http_health_wait_ms_under_attack"))
    return [
        Figure(NAMES[0], worst(servers, NAMES[0]), "both servers after 1,000 refused calls of 14 to 16 MiB", most=20),
        Figure(NAMES[1], worst(gateway, NAMES[1]), "8 floods of 100 MB: heads, URLs, trailers, extensions", most=20),
        Figure(NAMES[2], worst(gateway, NAMES[2]), "of 300: no body, nothing at all, a byte now and then", most=0),
        Figure(NAMES[3], wait, "the servers' longest, or the gateway's 99th of 100, whichever is worse", most=200),
        Figure(NAMES[4], max(lost), "searches, embeds, pages", most=0),
        *(Figure(name, worst(gateway, name), "the gateway") for name in gateway[0] if name not in NAMES),
        *(Figure(f"grpc_{name}", worst(servers, name), "the servers") for name in servers[0] if name not in NAMES),
    ]


def main() -> None:
    """Read the command line, attack, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often all is started afresh and attacked")
    rounds = parser.parse_args().rounds
    found = [(asyncio.run(grpc.measure()), http.measure()) for _ in range(rounds)]
    show(f"Attacked in {rounds} rounds; the worst of each", NAMES, figures(found))


if __name__ == "__main__":
    main()
