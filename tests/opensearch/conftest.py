"""Fixtures of the tests that ask a real OpenSearch node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from node import Node, require_components


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for the whole run; each test uses index names of its own, or `clean`."""
    require_components()
    running = Node(tmp_path_factory.mktemp("opensearch"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def clean(node: Node) -> Iterator[Node]:
    """The node, with all data streams, indices and index templates taken away afterwards."""
    yield node
    node.http.delete("/_data_stream/*")
    node.http.delete("/*,.internal*?expand_wildcards=all")
    node.http.delete("/_index_template/*")
    node.http.delete("/_component_template/*")
