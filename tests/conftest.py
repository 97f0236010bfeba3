"""What all tests share: the marker `needs`, the real parts as fixtures, and the guards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import guards, parts, replica_set


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(*parts): real parts without which the test cannot run: {', '.join(parts.PROBES)}")
    unknown = parts.REQUIRED - parts.PROBES.keys()
    if unknown:
        raise pytest.UsageError(f"CODEACT_REQUIRE names unknown parts: {', '.join(sorted(unknown))}")
    guards.install()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for part in _needed(item):
        parts.need(part)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    guards.forget()
    result = yield
    complaints = guards.complaints()
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)
    return result


@pytest.fixture(scope="session", autouse=True)
def _no_leaks() -> Iterator[None]:
    """Fail the session when it leaves containers or processes behind."""
    before = guards.containers()
    yield
    left = guards.left_behind(before)
    if left:
        pytest.fail("the tests left behind:\n" + "\n".join(left), pytrace=False)


@pytest.fixture(scope="session")
def docker_image() -> str:
    """Return the tag of an image with Python, NumPy, pandas, matplotlib and scikit-learn."""
    parts.need("docker")
    parts.need("image")
    return parts.IMAGE


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a real MongoDB replica set of one node, which ends with the session."""
    parts.need("mongo")
    with replica_set.fast_folder(tmp_path_factory.mktemp("mongo")) as folder, replica_set.running(folder) as url:
        yield url


def _needed(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("needs"):
        unknown = set(mark.args) - parts.PROBES.keys()
        if unknown:
            pytest.fail(f"unknown parts in the marker `needs`: {', '.join(sorted(unknown))}", pytrace=False)
        yield from mark.args
