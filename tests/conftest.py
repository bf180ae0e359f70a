"""For all tests: one thread each, here and in the processes they start, and no features of photos on disk."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("EXPOSE_CACHE", "off")


def pytest_addoption(parser):
    parser.addoption("--engines", action="store_true", help="run the tests on real servers and clusters, too")
