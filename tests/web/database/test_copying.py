"""Rows that COPY wrote are as those that Django writes."""

import numpy as np
import pytest
from django.db import DataError, IntegrityError, transaction

from assistants.lifecycle import create_assistant
from assistants.models import Answer, IndexEntry, Term, Version
from assistants.models.version import DIMENSIONS
from web.database.copying import copy_rows, half_vector

TERM = ("version", "language", "term", "answer", "weight")


@pytest.fixture
def answer(project, alice) -> Answer:
    assistant = create_assistant(project, "shop-help", alice)
    return Answer.objects.create(assistant=assistant, key="a", text="A", language="en")


@pytest.fixture
def version(answer) -> Version:
    return Version.objects.create(
        assistant=answer.assistant, number=1, encoder="e", promise=0.9, out_of_scope_share=0.1
    )


@pytest.mark.parametrize("text", ["tab\tand\nline", "\\N", "\\.", '"quoted", ', "退款\u2028", ""])
def test_texts_and_vectors_come_back_as_they_were(version, answer, text):
    vector = np.random.default_rng(0).normal(size=DIMENSIONS).astype(np.float16)
    vector[:4] = 0.0, -65504.0, 6e-8, 0.1  # The largest and the smallest of their kind.
    copied = (version.pk, answer.pk, "en", text, half_vector(vector))
    copy_rows(IndexEntry, ("version", "answer", "language", "text", "embedding"), [copied])
    IndexEntry.objects.create(
        version=version, answer=answer, language="en", text=text,
        embedding=vector.astype(np.float32),
    )  # fmt: skip
    first, second = version.index.order_by("pk").values("answer", "language", "text", "embedding")
    assert first == second
    assert np.array_equal(np.array(first["embedding"], dtype=np.float16), vector)


def test_a_constraint_refuses_all_rows_with_an_error_of_djangos(version, answer):
    good, bad = (
        (version.pk, "en", term, answer.pk, weight) for term, weight in (("a", 1), ("b", 0))
    )
    with pytest.raises(IntegrityError, match="assistants_term_weight"), transaction.atomic():
        copy_rows(Term, TERM, [good, bad])
    assert not Term.objects.exists()
    copy_rows(Term, TERM, [good])
    assert Term.objects.values_list("term", "weight").get() == ("a", 1.0)


def test_a_value_that_does_not_fit_its_column_is_an_error_of_djangos(version, answer):
    with pytest.raises(DataError), transaction.atomic():
        copy_rows(Term, TERM, [(version.pk, "en", "x" * 101, answer.pk, 1.0)])
