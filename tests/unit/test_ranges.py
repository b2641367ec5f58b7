"""Which addresses are public: the table, against Python's own, and against each way to hide a private one."""

import ipaddress
import random

import pytest

from lookalike.fetch.ranges import RANGES, why_not_public


@pytest.mark.parametrize("text", RANGES)
def test_no_address_of_a_range_is_public_first_and_last_included(text: str) -> None:
    network = ipaddress.ip_network(text)
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        assert why_not_public(str(address)), address
    assert any(mark in RANGES[text] for mark in ("RFC ", "documentation"))


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "2001:200::1",
        "::ffff:93.184.215.14",
        "64:ff9b::93.184.215.14",
        "2002:5db8:d70e::1",
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    assert why_not_public(address) == ""


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("169.254.169.254", "metadata"),
        ("fd00:ec2::254", "RFC 4193"),
        ("100.100.100.200", "RFC 6598"),
        ("168.63.129.16", "Azure"),
        ("::ffff:127.0.0.1", "RFC 1122 (IPv4 mapped"),
        ("::ffff:a9fe:a9fe", "metadata"),
        ("64:ff9b::10.0.0.1", "RFC 1918 (translated"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("64:ff9b:1::1.1.1.1", "RFC 8215"),
        ("2002:7f00:1::", "RFC 1122 (tunnelled by 6to4"),
        ("2002:a9fe:a9fe::1", "metadata"),
        ("2001:0:4136:e378::1", "Teredo"),
        ("::127.0.0.1", "RFC 4291"),
        ("::10.1.2.3", "RFC 4291"),
        ("fec0::1", "RFC 3879"),
        ("fe80::1%eth0", "link-local"),
        ("192.0.0.170", "RFC 6890"),
        ("198.19.0.1", "RFC 2544"),
        ("255.255.255.255", "RFC 919"),
        ("ff02::1", "multicast"),
        ("4000::1", "2000::/3"),
        ("::fffe:1.1.1.1", "2000::/3"),
    ],
)
def test_each_way_to_hide_a_private_address_is_seen_through(address: str, why: str) -> None:
    assert why in why_not_public(address)


@pytest.mark.parametrize(
    "text", ["2130706433", "127.1", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "\uff11\uff12\uff17.0.0.1", "", "host"]
)
def test_what_is_no_address_in_its_usual_spelling_is_not_public(text: str) -> None:
    assert "usual spelling" in why_not_public(text)


def test_what_python_does_not_hold_for_public_we_do_not_either() -> None:
    """Its table is another one, read from the same registries: seeded, over both families."""
    choice = random.Random(8)  # noqa: S311 - no secret
    own = {"192.31.196.", "192.52.193.", "192.175.48."}
    for _ in range(5_000):
        address = ipaddress.ip_address(choice.getrandbits(32))
        assert address.is_global or why_not_public(str(address)) or str(address).startswith(tuple(own))
        wide = ipaddress.IPv6Address(0x2 << 124 | choice.getrandbits(125))
        assert wide.is_global or why_not_public(str(wide)), wide
