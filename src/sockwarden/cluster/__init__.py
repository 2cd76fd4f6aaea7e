"""Elasticsearch and OpenSearch as one kind of server: what readers, sinks and the doctor ask them by REST."""
