"""Every profile carries at least one frame of its own, and says where that frame is from."""

import tomllib
from typing import Any

import pytest

from tests.house.sources import ROOT

PROFILES = ROOT / "protocols" / "profiles"


def complaints(profile: dict[str, Any]) -> list[str]:
    """What is wrong with the vectors of this profile."""
    vectors = profile.get("vector", [])
    if not vectors:
        return ["no vector"]
    return [f"vector {n} names no source" for n, one in enumerate(vectors, 1) if not str(one.get("source", "")).strip()]


@pytest.mark.skipif(not PROFILES.is_dir(), reason="protocols/profiles is not there yet")
def test_every_profile_has_vectors_with_a_source() -> None:
    files = sorted(PROFILES.glob("*.toml"))
    assert files, "protocols/profiles holds no profile"
    found = {path.name: wrong for path in files if (wrong := complaints(tomllib.loads(path.read_text("utf-8"))))}
    assert not found


def test_guard_is_red() -> None:
    assert complaints({"id": "x"}) == ["no vector"]
    assert complaints({"vector": [{"source": "manual p. 3"}, {"source": " "}]}) == ["vector 2 names no source"]
    assert complaints({"vector": [{"source": "manual p. 3"}]}) == []
