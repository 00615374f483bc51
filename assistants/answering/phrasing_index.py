"""The phrasings of one language of a version: their nearness to a question, and its terms.

Versions never change once measured, so their phrasings are kept in memory, and a question costs one
product of a matrix with its vector: exactly what measuring computed. What is larger than
ROWS_IN_MEMORY is left in PostgreSQL, which scans it, exactly as well.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from django.db import connection

from assistants.models import Answer, IndexEntry, Term
from assistants.models.knowledge import DIMENSIONS
from web.database.rows import fetch

Vector = npt.NDArray[np.float64]
ROWS_IN_MEMORY = 30_000  # 46 MB of 384 numbers each.
ANSWER = f"JOIN {Answer._meta.db_table} answer ON answer.id"
ENTRIES = f"FROM {IndexEntry._meta.db_table} entry {ANSWER} = entry.answer_id"
OF_LANGUAGE = "WHERE entry.version_id = %s AND entry.language = %s"
COUNT_SQL = f"SELECT count(*) FROM {IndexEntry._meta.db_table} entry {OF_LANGUAGE}"
ROWS_SQL = (
    f"SELECT answer.key, entry.text, halfvec_send(entry.embedding) {ENTRIES} {OF_LANGUAGE}"
    " AND answer.key = ANY(%s) ORDER BY array_position(%s::text[], answer.key::text), entry.id"
)
WEIGHTS_SQL = f"""
SELECT term.term, answer.key, term.weight FROM {Term._meta.db_table} term {ANSWER} = term.answer_id
WHERE term.version_id = %s AND term.language = %s
"""
NEAREST_SQL = (
    f"SELECT answer.key, max(1 - (entry.embedding <=> %s::halfvec)) {ENTRIES} {OF_LANGUAGE}"
    " GROUP BY answer.key"
)
TERMS_SQL = f"""
SELECT answer.key, sum(term.weight) FROM {Term._meta.db_table} term {ANSWER} = term.answer_id
WHERE term.version_id = %s AND term.language = %s AND term.term = ANY(%s)
GROUP BY answer.key
"""
PHRASING_SQL = (
    f"SELECT entry.text {ENTRIES} {OF_LANGUAGE} AND answer.key = %s"
    " ORDER BY entry.embedding <=> %s::halfvec LIMIT 1"
)
FIRST_SQL = (
    f"SELECT entry.text {ENTRIES} {OF_LANGUAGE} AND answer.key = %s ORDER BY entry.id LIMIT 1"
)


class PhrasingIndex(Protocol):
    """Each array is (1, answers), in the order of the model's answers."""

    bytes: int  # Of memory, about.

    def cosines(self, vector: Vector) -> Vector:
        """With the nearest phrasing of each answer; -1 for one without any."""
        ...

    def term_scores(self, terms: Sequence[str]) -> Vector:
        """BM25 of distinct terms; 0 where an answer has none of them."""
        ...

    def nearest(self, key: str, vector: Vector) -> str:
        """The phrasing of this answer that is most like the question; empty without one."""
        ...

    def first(self, key: str) -> str:
        """The oldest phrasing of this answer; empty without one."""
        ...


def open_index(version_id: int, language: str, answers: Sequence[str]) -> PhrasingIndex:
    """In memory if it is small enough, with the answers in this order."""
    ((rows,),) = fetch(COUNT_SQL, [version_id, language])
    kind = MemoryIndex if rows <= ROWS_IN_MEMORY else DatabaseIndex
    return kind(version_id, language, answers)


class MemoryIndex:
    """All rows in one float32 matrix, each of unit length, sorted by answer."""

    def __init__(self, version_id: int, language: str, answers: Sequence[str]) -> None:
        keys = list(answers)
        self._number = {key: number for number, key in enumerate(keys)}
        self._texts: list[str] = []
        numbers: list[int] = []
        parts = [np.zeros((0, DIMENSIONS), np.float32)]
        for rows in _fetch_in_parts(ROWS_SQL, [version_id, language, keys, keys]):
            self._texts += [text for _, text, _ in rows]
            numbers += [self._number[key] for key, _, _ in rows]
            parts.append(_unit_rows([sent for _, _, sent in rows]))
        self._matrix = np.concatenate(parts)
        self._present, self._starts = np.unique(np.array(numbers, int), return_index=True)
        self._ends = np.append(self._starts[1:], len(numbers))
        self._weights = self._gather_weights(version_id, language)
        pairs = sum(len(weights) for _, weights in self._weights.values())
        self.bytes = self._matrix.nbytes + 200 * (len(numbers) + len(self._weights)) + 12 * pairs

    def _gather_weights(
        self, version_id: int, language: str
    ) -> dict[str, tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]]:
        """Of each term: the numbers of the answers that have it, and its weight in each."""
        gathered: dict[str, list[tuple[int, float]]] = {}
        for term, key, weight in fetch(WEIGHTS_SQL, [version_id, language]):
            if key in self._number:
                gathered.setdefault(term, []).append((self._number[key], weight))
        return {
            term: (np.array([n for n, _ in pairs], np.int32), np.array([w for _, w in pairs]))
            for term, pairs in gathered.items()
        }

    def cosines(self, vector: Vector) -> Vector:
        result = np.full((1, len(self._number)), -1.0)
        if len(self._present):
            similarities = self._matrix @ vector.astype(np.float32)
            result[0, self._present] = np.maximum.reduceat(similarities, self._starts)
        return result

    def term_scores(self, terms: Sequence[str]) -> Vector:
        result = np.zeros((1, len(self._number)))
        for term in terms:
            if (weighed := self._weights.get(term)) is not None:
                numbers, weights = weighed
                result[0, numbers] += weights
        return result

    def nearest(self, key: str, vector: Vector) -> str:
        start, end = self._rows_of(key)
        if start == end:
            return ""
        similarities = self._matrix[start:end] @ vector.astype(np.float32)
        return self._texts[start + int(similarities.argmax())]

    def first(self, key: str) -> str:
        start, end = self._rows_of(key)
        return self._texts[start] if start < end else ""

    def _rows_of(self, key: str) -> tuple[int, int]:
        place = int(np.searchsorted(self._present, self._number.get(key, -1)))
        if place == len(self._present) or self._present[place] != self._number.get(key):
            return 0, 0
        return int(self._starts[place]), int(self._ends[place])


class DatabaseIndex:
    """The same, asked of PostgreSQL each time."""

    bytes = 0

    def __init__(self, version_id: int, language: str, answers: Sequence[str]) -> None:
        self._whose = [version_id, language]
        self._number = {key: number for number, key in enumerate(answers)}

    def cosines(self, vector: Vector) -> Vector:
        return self._fill(-1.0, NEAREST_SQL, [_literal(vector), *self._whose])

    def term_scores(self, terms: Sequence[str]) -> Vector:
        return self._fill(0.0, TERMS_SQL, [*self._whose, list(terms)])

    def nearest(self, key: str, vector: Vector) -> str:
        rows = fetch(PHRASING_SQL, [*self._whose, key, _literal(vector)])
        return str(rows[0][0]) if rows else ""

    def first(self, key: str) -> str:
        rows = fetch(FIRST_SQL, [*self._whose, key])
        return str(rows[0][0]) if rows else ""

    def _fill(self, default: float, query: str, values: Sequence[Any]) -> Vector:
        row = np.full((1, len(self._number)), default)
        for key, value in fetch(query, values):
            if key in self._number:
                row[0, self._number[key]] = value
        return row


def _unit_rows(sent: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """From pgvector's binary form: the count of numbers, two unused bytes, the numbers."""
    halves = np.frombuffer(b"".join(bytes(one)[4:] for one in sent), dtype=">f2")
    matrix = halves.reshape(len(sent), -1).astype(np.float32)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return matrix


def _literal(vector: Vector) -> str:
    return "[" + ",".join(f"{value:.6f}" for value in vector) + "]"


def _fetch_in_parts(query: str, values: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """A thousand rows at a time: all of them as text would be twice what is made of them."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, values)
        while rows := cursor.fetchmany(1_000):
            yield rows
