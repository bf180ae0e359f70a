"""Tests on real servers and clusters, which `make test-engines` runs; `make test` says that it skipped them."""

import pytest


def pytest_collection_modifyitems(config, items):
    if config.getoption("--engines"):
        return
    for item in items:
        if "tests/engines/" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason="needs servers or clusters: make test-engines"))
