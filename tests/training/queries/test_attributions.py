"""Explanations as templates draw them."""

from training.queries.attributions import explanation_context, heatmap, scored_cells, text_pieces


def test_pieces_put_together_are_the_text():
    text = "please cancel my card now"
    words = [{"start": 7, "end": 13, "score": 2.0}, {"start": 17, "end": 21, "score": -1.0}]
    pieces = text_pieces(text, words)
    assert "".join(piece["text"] for piece in pieces) == text
    assert [piece["strength"] for piece in pieces] == [0, 100, 0, -50, 0]


def test_words_that_all_count_nothing_have_no_strength():
    pieces = text_pieces("ab", [{"start": 0, "end": 1, "score": 0.0}])
    assert [piece["strength"] for piece in pieces] == [0, 0]


def test_a_heatmap_leaves_out_weak_squares_and_says_where_it_lies():
    context = heatmap([[1.0, -0.5], [0.01, 0.0]], (0.25, 0.0, 0.5, 1.0))
    assert [(square["x"], square["y"]) for square in context["squares"]] == [(0, 0), (1, 0)]
    assert [square["strength"] for square in context["squares"]] == [100, -50]
    assert (context["across"], context["down"]) == (2, 2)
    assert (context["left"], context["width"]) == (25.0, 50.0)


def test_cells_keep_what_they_hold():
    (first, second) = scored_cells([{"name": "a", "score": -4.0}, {"name": "b", "score": 1.0}])
    assert (first["name"], first["strength"]) == ("a", -100)
    assert second["strength"] == 25


def test_one_kind_of_explanation_is_shown():
    assert explanation_context({}) == {}
    assert set(explanation_context({"text": "a", "words": [word()]})) == {"pieces"}
    assert explanation_context({"grid": [[1.0]]})["heat"]["width"] == 100
    assert "cells" in explanation_context({"cells": [{"score": 1.0}]})


def word():
    return {"start": 0, "end": 1, "score": 1.0}
