"""Documents of an Elasticsearch or OpenSearch cluster, asked for by the rules' own queries."""

from sockwarden.readers.index.source import IndexSource

__all__ = ["IndexSource"]
