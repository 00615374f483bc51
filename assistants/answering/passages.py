"""Finds the passages that a question may be answered from, by vectors and terms together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection

from assistants.models import Passage, PassageEntry, PassageTerm, Source, Version
from engine.answering.passages import PassageFusion, strength
from engine.answering.terms import split_terms
from projects.models import Dataset, DatasetVersion

NEAREST = 20  # Of each way; the other way's scores of these are looked up too.
FIND_SQL = f"""
WITH worded AS (
    SELECT passage_id, sum(weight) AS bm25 FROM {PassageTerm._meta.db_table}
    WHERE version_id = %(version)s AND language = %(language)s AND term = ANY(%(terms)s)
    GROUP BY passage_id
), near AS (
    SELECT passage_id FROM {PassageEntry._meta.db_table}
    WHERE version_id = %(version)s AND language = %(language)s
    ORDER BY embedding <=> %(vector)s::halfvec LIMIT {NEAREST}
), best AS (
    SELECT passage_id FROM worded ORDER BY bm25 DESC, passage_id LIMIT {NEAREST}
)
SELECT passage.id, passage.heading, passage.text, dataset.name,
       1 - (entry.embedding <=> %(vector)s::halfvec), coalesce(worded.bm25, 0)
FROM {PassageEntry._meta.db_table} entry
JOIN {Passage._meta.db_table} passage ON passage.id = entry.passage_id
JOIN {Source._meta.db_table} source ON source.id = passage.source_id AND source.retired_at IS NULL
JOIN {DatasetVersion._meta.db_table} data ON data.id = source.dataset_version_id
JOIN {Dataset._meta.db_table} dataset ON dataset.id = data.dataset_id
LEFT JOIN worded ON worded.passage_id = entry.passage_id
WHERE entry.version_id = %(version)s AND entry.passage_id IN (
    SELECT passage_id FROM near UNION SELECT passage_id FROM best
)
"""


@dataclass(frozen=True)
class FoundPassage:
    """A passage and how well it fits, 0 to about 1 for the cosine."""

    id: int
    heading: str
    text: str
    document: str
    cosine: float
    score: float

    @property
    def title(self) -> str:
        return f"{self.document}: {self.heading}" if self.heading else self.document


def find_passages(
    version: Version,
    language: str,
    question: str,
    vector: npt.NDArray[np.float64],
    limit: int = 4,
) -> list[FoundPassage]:
    """The best passages first; none where the first has no more to do with the question than with
    questions about anything else."""
    fitted = version.fusions.get(language)
    fusion = PassageFusion.model_validate(fitted) if fitted else None
    if fusion is None or fusion.quote is None:
        return []
    terms = list(set(split_terms(question)))
    values: dict[str, Any] = {
        "version": version.pk,
        "language": language,
        "terms": terms,
        "vector": "[" + ",".join(f"{value:.6f}" for value in vector) + "]",
    }
    with connection.cursor() as cursor:
        cursor.execute(FIND_SQL, values)
        rows = cursor.fetchall()
    if not rows:
        return []
    cosines = np.array([float(row[4]) for row in rows])
    bm25 = np.array([float(row[5]) for row in rows])
    scores = fusion.fuse(cosines, bm25)
    order = np.argsort(-scores, kind="stable")[:limit]
    first = order[0]
    if strength(cosines[first], bm25[first], np.array(float(len(terms)))) < fusion.quote:
        return []
    return [
        FoundPassage(
            id=rows[place][0],
            heading=rows[place][1],
            text=rows[place][2],
            document=rows[place][3],
            cosine=float(cosines[place]),
            score=float(scores[place]),
        )
        for place in order
    ]
