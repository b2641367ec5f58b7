"""Count connections, in all and by address, and choose which one is closed when there are too many."""

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Final

_NETWORK: Final = 8
"""An IPv6 network has so many bytes at least; one subscriber has one network or more."""


class Place:
    """A place belongs to one connection, from when it is accepted until it ends."""

    def __init__(self, owner: "Connections", network: bytes, evict: Callable[[], None]) -> None:
        self.network = network
        self.evict = evict
        self._owner = owner

    def heard(self) -> None:
        """Note that a whole request head has arrived, so that this connection is not evicted."""
        self._owner.silent.pop(self, None)

    def leave(self) -> None:
        """Give the place back; a second call does nothing."""
        self._owner.forget(self)


class Connections:
    """The set of connections is bounded, in all and by address.

    If there is no place left, the connection is evicted that has waited longest without ever sending a whole request
    head. So a client that opens many connections, and sends nothing, takes no place from clients with requests.

    Args:
        limit: how many connections there may be at once.
        limit_per_address: how many of them may come from one address; 0: any number.
    """

    def __init__(self, limit: int, limit_per_address: int) -> None:
        self._limit = limit
        self._limit_per_address = limit_per_address or limit
        self._places: set[Place] = set()
        self._by_network: Counter[bytes] = Counter()
        self.silent: dict[Place, None] = {}

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._places)

    def enter(self, address: str, evict: Callable[[], None]) -> Place | None:
        """Return a place for a connection from this address, or None if there is none.

        Args:
            address: the client's IP address.
            evict: closes the connection when its place is needed.
        """
        network = _network(address)
        crowded = self._by_network[network] >= self._limit_per_address
        if crowded or len(self._places) >= self._limit:
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
        """Free the place, if it is still taken."""
        if place not in self._places:
            return
        self._places.remove(place)
        self.silent.pop(place, None)
        self._by_network[place.network] -= 1
        if not self._by_network[place.network]:
            del self._by_network[place.network]


def _network(address: str) -> bytes:
    """Return what counts as one client: an IPv4 address, or an IPv6 network of 64 bits."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.ipv4_mapped.packed if ip.ipv4_mapped else ip.packed[:_NETWORK]
    return ip.packed
