"""What pages say about models beside their reports."""

from training.models import TrainedModel

MOST_VERSIONS = 20


def versions_of(model: TrainedModel) -> list[TrainedModel]:
    """Models of the same project made from the same dataset, newest first, this one among them."""
    dataset = model.dataset_version.dataset_id
    same = TrainedModel.objects.filter(
        project=model.project_id, dataset_version__dataset=dataset, task=model.task
    )
    return list(same.select_related("dataset_version__dataset")[:MOST_VERSIONS])


def explains_texts(model: TrainedModel) -> bool:
    """Whether a worker can say which words made this model's answer."""
    kind = (model.manifest.get("inputs") or {}).get("kind")
    return kind == "text" and model.task != "text-generation"
