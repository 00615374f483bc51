"""Label names help where rows are few and names say what texts mean, and else count nothing."""

import numpy as np

from engine.tasks.text.contenders.label_names import _choose_strength

RNG = np.random.default_rng(0)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_names_near_their_texts_count_and_others_do_not():
    names = unit(RNG.normal(size=(8, 40)))
    labels = np.repeat(np.arange(8), 4)
    texts = unit(names[labels] + 0.45 * RNG.normal(size=(32, 40)))
    names -= names.mean(0)
    assert _choose_strength(texts, labels, names) > 0
    others = unit(RNG.normal(size=(8, 40)))
    assert _choose_strength(unit(names[labels] + 0.05 * texts), labels, others) == 0
