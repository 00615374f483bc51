"""What a spec refuses, what its automatic values stand for, and what forms are made of."""

import pytest
from pydantic import ValidationError

from engine.spec import (
    SPEC_CLASSES,
    ExportSpec,
    GenerationHyperparameters,
    ImageHyperparameters,
    SplitSpec,
    TabularHyperparameters,
    TextHyperparameters,
    error_field,
    hyperparameters_class,
    parse_spec,
)
from engine.spec.exporting import FORMAT_DESCRIPTIONS, FORMATS_BY_TASK, OPTIONS_BY_TASK
from engine.spec.searching import Choices, Range

NOWHERE = {"data": "d", "output": "o", "work": "w"}
TEXT = NOWHERE | {"text_columns": ["x"], "target_column": "y"}
TABLE = NOWHERE | {"task": "tabular-regression", "target_column": "y"}
IMAGE = NOWHERE | {"task": "image-classification", "image_column": "x", "target_column": "y"}
CHAT = NOWHERE | {"task": "text-generation"}


def problem_of(fields):
    with pytest.raises(ValidationError) as refusal:
        parse_spec(fields)
    return error_field(refusal.value.errors()[0]["loc"]), str(refusal.value)


def test_a_spec_names_its_task_and_texts_are_the_default():
    assert type(parse_spec(TEXT)) is SPEC_CLASSES["text-classification"]
    assert type(parse_spec(TABLE)) is SPEC_CLASSES["tabular-classification"]
    assert "task" in problem_of(TABLE | {"task": "poetry"})[1]


def test_a_field_nobody_knows_is_refused_and_named():
    assert problem_of(TEXT | {"epochs": 3})[0] == "epochs"
    assert problem_of(TEXT | {"hyperparameters": {"batch_rows": 3}})[0] == (
        "hyperparameters.batch_rows"
    )


def test_a_spec_cannot_be_changed_after_its_check():
    with pytest.raises(ValidationError, match="frozen"):
        parse_spec(TEXT).target_column = "z"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (TEXT | {"target_column": "x"}, "'x' cannot be both text and target column"),
        (TEXT | {"text_columns": ["x", "x"]}, "A text column is named twice"),
        (TABLE | {"feature_columns": ["y"]}, "'y' cannot be both feature and target column"),
        (IMAGE | {"target_column": "x"}, "'x' cannot be both picture and target column"),
        (IMAGE | {"split_column": "y"}, "split column 'y' cannot also be picture or target"),
        (CHAT, "Name either a chats column, or prompt columns and a completion"),
        (CHAT | {"prompt_columns": ["a"]}, "Name either a chats column"),
        (
            CHAT | {"prompt_columns": ["a"], "completion_column": "b", "messages_column": "c"},
            "Name either a chats column",
        ),
        (
            CHAT | {"prompt_columns": ["a"], "completion_column": "a"},
            "'a' cannot be both prompt and target column",
        ),
    ],
)
def test_columns_that_make_no_sense_together_are_refused(given, sentence):
    assert sentence in problem_of(given)[1]


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        ("text-classification", {"epochs": -1}),
        ("text-classification", {"folds": 1}),
        ("text-classification", {"batch_tokens": 31}),
        ("text-classification", {"dropout": 0.9}),
        ("image-classification", {"image_size": 24}),
        ("image-classification", {"image_size": 100}),
        ("tabular-regression", {"batch_rows": 0}),
        ("text-generation", {"lora_rank": 0}),
        ("text-generation", {"optimizer": "lion"}),
    ],
)
def test_values_outside_their_bounds_are_refused(task, fields):
    with pytest.raises(ValidationError):
        hyperparameters_class(task)(**fields)


def test_a_recipe_can_be_written_down_and_read_again():
    for given in (TEXT, TABLE, IMAGE, CHAT | {"messages_column": "m"}):
        spec = parse_spec(given | {"search": {"trials": 3}, "split": {"seed": 5}})
        assert parse_spec(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(("rows", "epochs"), [(1, 12), (321, 12), (1000, 4), (1280, 3), (10**6, 3)])
def test_text_epochs_make_enough_steps_within_bounds(rows, epochs):
    assert TextHyperparameters().planned_epochs(rows) == epochs
    assert TextHyperparameters(epochs=7).planned_epochs(rows) == 7


def test_table_and_image_epochs_follow_rows_and_batches():
    assert TabularHyperparameters().planned_epochs(10_000) == 20  # 1,500 steps of 128 rows.
    assert TabularHyperparameters(batch_rows=256).planned_epochs(10_000) == 39
    assert [TabularHyperparameters().planned_epochs(rows) for rows in (0, 10**7)] == [40, 4]
    assert ImageHyperparameters().planned_epochs(960) == 10  # 300 steps of 32 images.
    assert [ImageHyperparameters().planned_epochs(rows) for rows in (10, 10**6)] == [60, 5]


def test_language_models_from_scratch_read_the_rows_more_often():
    hyperparameters = GenerationHyperparameters()
    assert hyperparameters.planned_epochs(400, from_scratch=False) == 4
    assert hyperparameters.planned_epochs(400, from_scratch=True) == 10
    assert hyperparameters.planned_epochs(10, from_scratch=False) == 12
    assert hyperparameters.planned_epochs(10, from_scratch=True) == 24


@pytest.mark.parametrize(
    ("method", "rows", "labels", "chosen"),
    [
        ("auto", 31, 1, "probe"),
        ("auto", 32, 1, "full"),
        ("auto", 159, 10, "probe"),
        ("auto", 160, 10, "full"),
        ("auto", 2500, 2, "upper"),
        ("lora", 5, 2, "lora"),
    ],
)
def test_the_automatic_text_method_needs_rows_for_every_label(method, rows, labels, chosen):
    assert TextHyperparameters(method=method).chosen_method(rows, labels) == chosen


def test_lora_learns_at_ten_times_the_rate():
    def factor(method, *, from_scratch=False):
        hyperparameters = TextHyperparameters(method=method)
        return hyperparameters.rate_factor(from_scratch=from_scratch, train_rows=500)

    assert [factor(method) for method in ("full", "upper", "lora", "head")] == [1, 1.75, 10, 1]
    assert [factor(m, from_scratch=True) for m in ("full", "upper", "lora")] == [1, 1, 10]
    chat = GenerationHyperparameters()
    assert chat.rate_factor(from_scratch=False, train_rows=1) == 10
    assert chat.rate_factor(from_scratch=True, train_rows=1) == 1


def test_trials_leave_out_what_does_not_help_to_compare_them():
    assert TextHyperparameters(folds=5).for_trial().folds == 0
    assert TabularHyperparameters().for_trial().method == "network"
    assert ImageHyperparameters().for_trial().method == "full"
    assert GenerationHyperparameters(lora_rank=4).for_trial().lora_rank == 4


@pytest.mark.parametrize("method", ["trees", "random_trees", "linear"])
def test_methods_without_steps_cannot_be_searched(method):
    spec = parse_spec(TABLE | {"hyperparameters": {"method": method}, "search": {"trials": 2}})
    assert "trains in steps" in spec.search_problem()


def test_only_what_the_task_can_vary_is_searched():
    fine = parse_spec(TABLE | {"search": {"parameters": ["batch_rows", "dropout"]}})
    assert fine.search_problem() == ""
    wrong = parse_spec(TEXT | {"search": {"parameters": ["batch_rows"]}})
    assert wrong.search_problem().startswith("'batch_rows' cannot be searched. These can: ")
    assert parse_spec(TEXT).search_problem() == ""


@pytest.mark.parametrize("task", SPEC_CLASSES)
def test_everything_searchable_is_a_hyperparameter_within_its_bounds(task):
    hyperparameters = hyperparameters_class(task)
    for name, space in hyperparameters.search_space.items():
        assert name in hyperparameters.model_fields
        if isinstance(space, Choices):
            values = space.options
        else:
            assert isinstance(space, Range)
            assert space.low < space.high
            values = () if space.is_relative else (space.low, space.high)
        for value in values:
            hyperparameters(**{name: value})


def test_half_precision_on_a_processor_is_refused_by_name():
    spec = parse_spec(TEXT | {"hyperparameters": {"precision": "fp16"}})
    assert spec.device_problem("cpu").startswith("hyperparameters.precision: fp16 needs a GPU")
    assert spec.device_problem("cuda") == ""
    assert parse_spec(TEXT).device_problem("cpu") == ""


@pytest.mark.parametrize("task", SPEC_CLASSES)
def test_every_role_is_a_field_of_its_spec_and_says_what_it_is_for(task):
    spec = SPEC_CLASSES[task]
    alternatives = {role.alternative for role in spec.roles} - {""}
    targets = [role.field for role in spec.roles if role.is_target]
    beside_the_target = {"rejected_column"}  # A preference names a worse answer as well.
    assert len(set(targets) - alternatives - beside_the_target) == 1
    assert alternatives <= set(targets)
    for role in spec.roles:
        assert role.field in spec.model_fields
        assert role.title
        assert role.help


def test_a_roles_columns_are_a_list_whatever_the_recipe_holds():
    text, target, *_ = SPEC_CLASSES["text-classification"].roles
    recipe = {"text_columns": ["a", "b"], "target_column": "c"}
    assert text.columns_in(recipe) == ["a", "b"]
    assert target.columns_in(recipe) == ["c"]
    assert target.columns_in({"target_column": None}) == text.columns_in({}) == []


def test_suggestions_of_an_import_become_each_tasks_columns():
    suggested = {"text_columns": ["body"], "target_column": "tone", "image_column": None}
    from_suggestion = {task: spec.from_suggestion for task, spec in SPEC_CLASSES.items()}
    assert from_suggestion["text-regression"](suggested) == {
        "text_columns": ["body"],
        "target_column": "tone",
    }
    assert from_suggestion["image-classification"](suggested) == {"target_column": "tone"}
    assert from_suggestion["text-generation"](suggested) == {
        "prompt_columns": ["body"],
        "completion_column": "tone",
    }
    chats = {"text_columns": ["messages"], "target_column": None}
    assert from_suggestion["text-generation"](chats) == {"messages_column": "messages"}
    assert from_suggestion["text-generation"]({}) == {}
    preferences = {"text_columns": ["prompt"], "target_column": "chosen", "rejected_column": "bad"}
    assert from_suggestion["text-generation"](preferences) == {
        "prompt_columns": ["prompt"],
        "completion_column": "chosen",
        "rejected_column": "bad",
    }


def test_mixup_makes_the_automatic_method_train_a_network():
    assert parse_spec(IMAGE).effective_method == "head"
    assert parse_spec(IMAGE | {"hyperparameters": {"mixup": 0.2}}).effective_method == "auto"


def test_the_image_split_column_divides_the_rows():
    spec = parse_spec(IMAGE | {"split_column": "part", "split": {"seed": 3}})
    assert spec.effective_split == SplitSpec(
        seed=3, column="part", validation_fraction=0.05, test_fraction=0.1
    )
    assert parse_spec(IMAGE).effective_split.column is None


def test_lora_on_random_weights_is_refused():
    chat = CHAT | {"messages_column": "m", "hyperparameters": {"method": "lora"}}
    assert "choose full" in problem_of(chat | {"base_model": "small-language-model"})[1]
    assert parse_spec(chat | {"base_model": "Qwen3-0.6B"}).hyperparameters.method == "lora"


def test_pruning_that_removes_nothing_is_refused():
    with pytest.raises(ValidationError, match="removes nothing"):
        ExportSpec(format="pruned", keep=1, keep_heads=1)
    assert ExportSpec(format="pruned", keep=1, keep_heads=0.5).keep_heads == 0.5
    assert ExportSpec(format="onnx", keep=1, keep_heads=1).format == "onnx"


def test_every_form_of_every_task_is_described():
    offered = {form for forms in FORMATS_BY_TASK.values() for form in forms}
    assert offered == set(FORMAT_DESCRIPTIONS)
    for options in OPTIONS_BY_TASK.values():
        assert set(options) <= set(ExportSpec.model_fields)


@pytest.mark.parametrize(
    ("location", "field"),
    [
        (("text-regression", "text_columns", 0), "text_columns.0"),
        (("hyperparameters", "epochs"), "hyperparameters.epochs"),
        ((), ""),
    ],
)
def test_the_field_of_an_error_is_named_without_the_task(location, field):
    assert error_field(location) == field
