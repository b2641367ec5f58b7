"""How many connections there are, in all and by address, and which of them goes when there are too many."""

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Final

_NETWORK: Final = 8
"""Bytes of an IPv6 network, which is what one subscriber has at the least."""


class Place:
    """Is held by one connection, from when it is accepted to its end."""

    def __init__(self, owner: "Connections", network: bytes, evict: Callable[[], None]) -> None:
        self.network = network
        self.evict = evict
        self._owner = owner

    def heard(self) -> None:
        """A whole request head came: this connection is not the one to go."""
        self._owner.silent.pop(self, None)

    def leave(self) -> None:
        """Give it back; again does nothing."""
        self._owner.forget(self)


class Connections:
    """Those that there are.

    Where there is no room, the connection goes that has waited longest without ever having sent a whole head: so
    whoever opens many, and says nothing, takes no place from those who ask something.

    Args:
        most: at once.
        most_per_address: of them from one address; 0: any number.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address or most
        self._places: set[Place] = set()
        self._by_network: Counter[bytes] = Counter()
        self.silent: dict[Place, None] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)

    def enter(self, address: str, evict: Callable[[], None]) -> Place | None:
        """A place for a connection from this address, of which `evict` would make an end; None: there is no room."""
        network = _network(address)
        crowded = self._by_network[network] >= self._most_per_address
        if crowded or len(self._places) >= self._most:
            going = next((place for place in self.silent if not crowded or place.network == network), None)
            if going is None:
                return None
            going.leave()
            going.evict()
        place = Place(self, network, evict)
        self._places.add(place)
        self._by_network[network] += 1
        self.silent[place] = None
        return place

    def forget(self, place: Place) -> None:
        """It is free."""
        if place not in self._places:
            return
        self._places.remove(place)
        self.silent.pop(place, None)
        self._by_network[place.network] -= 1
        if not self._by_network[place.network]:
            del self._by_network[place.network]


def _network(address: str) -> bytes:
    """What is counted as one client."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.ipv4_mapped.packed if ip.ipv4_mapped else ip.packed[:_NETWORK]
    return ip.packed
