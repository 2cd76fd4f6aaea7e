"""A folder of ECS documents as a source of the scheduled engine: NDJSON, plain, gzip or zstd, and Parquet, by duckdb.

A query and its window are pushed down as SQL over each document as JSON, so that no two files need agree on a type.
What SQL cannot judge (see kql.irregular) the rule judges itself, and so it does every document when SQL refuses the
query.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.kql import ECS, FieldTypes
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.kql.sql import to_sql
from sockwarden.readers import ecs, foldersql
from sockwarden.readers.ndjson import decode
from sockwarden.rules import Rule
from sockwarden.rules.moments import time_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_SQL = 1 << 20
"""Characters of a condition; a longer one takes longer to compile than a scan."""

_ANY = "true"
_BATCH = 500
_SETTINGS: dict[str, str | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is fetched
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "memory_limit": "1GB",  # beyond it duckdb sorts on disk
}

_Row = tuple[str | None, bool, bool, int | None]
_Dated = tuple[int, str, Document]


class Folder:
    """A Source (see detect/source.py) over the files below a folder. Each search reads what is there then.

    types: what the rules were compiled with
    """

    def __init__(self, path: str, types: FieldTypes = ECS) -> None:
        self.name = path
        self._types = types
        self._warnings: list[str] = []

    def warnings(self) -> list[str]:
        """What the last search could not read or push down; cleared by the call."""
        found, self._warnings = self._warnings, []
        return found

    def search(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        """The documents that match, the oldest first, ties by `_id`. Raises InputError where the folder cannot be read.

        A file that cannot be read, a line that is no document and documents without a date are warned of.
        """
        self._warnings = []
        files = _files(self.name, self._warnings)
        if not files:
            self._warnings.append(f"no file of documents there ({', '.join(foldersql.KINDS)}, plain, .gz or .zst)")
        condition = self._condition(rule)
        with tempfile.TemporaryDirectory(prefix="sockwarden-") as scratch, closing(_connect(scratch)) as connection:
            rows = self._rows(connection, files, rule, condition, {"start": start, "end": end})
            yield from self._documents(rows, rule, start, end, judged=condition != _ANY)

    def _condition(self, rule: Rule) -> str:
        try:
            condition = to_sql(rule.tree, self._types)
        except UnsupportedError as refusal:
            self._warnings.append(
                f"{rule.name}: every document was judged one by one, since {refusal.what}: {refusal.why}"
            )
            return _ANY
        if len(condition) > MOST_SQL:
            self._warnings.append(
                f"{rule.name}: every document was judged one by one, the query being too long for SQL"
            )
            return _ANY
        return condition

    def _rows(
        self, connection: DuckDBPyConnection, files: list[str], rule: Rule, condition: str, window: dict[str, int]
    ) -> Iterator[_Row]:
        """As foldersql.search gives them. A file that cannot be read to its end is left out, and warned of."""
        import duckdb  # noqa: PLC0415 - optional

        columns: dict[str, str] = {}
        readable = [file for file in files if self._opens(connection, file, columns)]
        while readable:
            sql = foldersql.search(foldersql.documents(readable, columns), rule, condition)
            try:
                found = connection.execute(sql, window)
            except duckdb.Error as error:
                sound = [file for file in readable if self._reads(connection, file, columns)]
                if sound == readable:
                    raise InputError("the folder cannot be searched", where=self.name, why=_first_line(error)) from None
                readable = sound
                continue
            while rows := found.fetchmany(_BATCH):
                yield from rows
            return

    def _opens(self, connection: DuckDBPyConnection, file: str, columns: dict[str, str]) -> bool:
        """Notes the types of a Parquet file's columns."""
        import duckdb  # noqa: PLC0415 - optional

        if not file.endswith(foldersql.PARQUET):
            return True
        try:
            columns[file] = " ".join(str(row[1]) for row in connection.execute(foldersql.describe(file)).fetchall())
        except duckdb.Error as error:
            self._warnings.append(f"{file} was not read: {_first_line(error)}")
        return file in columns

    def _reads(self, connection: DuckDBPyConnection, file: str, columns: dict[str, str]) -> bool:
        import duckdb  # noqa: PLC0415 - optional

        try:
            connection.execute(foldersql.read_through(foldersql.documents([file], columns))).fetchall()
        except duckdb.Error as error:
            self._warnings.append(f"{file} was not read: {_first_line(error)}")
            return False
        return True

    def _documents(self, rows: Iterator[_Row], rule: Rule, start: int, end: int, *, judged: bool) -> Iterator[Document]:
        """Rows that SQL could not judge come first and are kept; the others come by time, and are not."""
        lines = _Lines()
        odd: list[_Dated] = []
        first: list[_Row] = []
        for row in rows:
            if not row[2]:
                first = [row]
                break
            for document in lines.documents(row):
                if not rule.matches(document):
                    continue
                time = time_of(document, rule)
                lines.undated += time is None
                if time is not None and start <= time <= end:
                    odd.append((time, str(document["_id"]), document))
        odd.sort(key=itemgetter(0, 1))
        regular = _by_time(lines, itertools.chain(first, rows), None if judged else rule)
        for _, _, document in heapq.merge(odd, regular, key=itemgetter(0, 1)):
            yield document
        self._warnings += lines.warnings()


class _Lines:
    """Lines as documents; counts those that are none.

    undated: documents that match and have no date
    """

    def __init__(self) -> None:
        self.torn = 0
        self.undated = 0

    def documents(self, row: _Row) -> Iterator[Document]:
        line, packed, _, _ = row
        if line is None:
            self.torn += 1
            return
        try:
            entry = decode(line.encode("utf-8", "surrogateescape"))
            yield from ecs.to_documents(_without_nulls(entry) if packed else entry)
        except InputError:
            self.torn += 1

    def warnings(self) -> list[str]:
        found = []
        if self.torn:
            found.append(f"{self.torn} {'lines were' if self.torn > 1 else 'line was'} no document")
        if self.undated:
            found.append(f"{self.undated} matching {'documents have' if self.undated > 1 else 'document has'} no date")
        return found


def _by_time(lines: _Lines, rows: Iterator[_Row], rule: Rule | None) -> Iterator[_Dated]:
    """In order of time, then `_id`. `rule` judges where SQL has not."""
    for time, group in itertools.groupby(rows, key=itemgetter(3)):
        documents = [document for row in group for document in lines.documents(row)]
        for document in sorted(documents, key=lambda document: str(document["_id"])):
            if rule is None or rule.matches(document):
                yield time or 0, str(document["_id"]), document


def _without_nulls(value: Any) -> Any:
    """A row of Parquet without the columns that it leaves empty: another file's columns must not change its digest."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _files(folder: str, warnings: list[str]) -> list[str]:
    """The files of documents below the folder, no symbolic links."""

    def fail(error: OSError) -> None:
        if error.filename == folder:
            raise InputError("the folder cannot be read", where=folder, why=error.strerror or "") from error
        warnings.append(f"{error.filename} was not read: {error.strerror}")

    found = []
    for root, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        for file in (os.path.join(root, name) for name in sorted(names)):  # noqa: PTH118 - as given
            if foldersql.is_documents(file) and not os.path.islink(file) and os.path.isfile(file):  # noqa: PTH113, PTH114
                if os.access(file, os.R_OK):
                    found.append(file)
                else:
                    warnings.append(f"{file} was not read: Permission denied")
    return found


def _connect(scratch: str) -> DuckDBPyConnection:
    try:
        import duckdb  # noqa: PLC0415 - optional
    except ImportError:
        raise InputError(
            "folders are searched by duckdb, which is not installed", todo="pip install 'sockwarden[duckdb]'"
        ) from None
    connection = duckdb.connect(config={**_SETTINGS, "temp_directory": scratch})
    with contextlib.suppress(duckdb.Error):  # known only to builds that carry time zones; the others write UTC
        connection.execute("SET TimeZone = 'UTC'")
    return connection


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
