"""Tells a team once when the requests to an endpoint no longer look like its model's data."""

import logging

from django.urls import reverse

from accounts.notifications.publish import publish
from inference.drift.comparison import measure_drift
from inference.models import Deployment

logger = logging.getLogger(__name__)


def notify_of_drift() -> None:
    """Compare every endpoint. One that cannot be compared keeps no other from it."""
    for deployment in Deployment.objects.serving().select_related("team", "model__dataset_version"):
        try:
            verdict = measure_drift(deployment).verdict
        except Exception:  # Its stored files may be damaged, and the others' are not.
            logger.exception("The drift of endpoint %s could not be measured.", deployment.pk)
            continue
        if verdict == "large":
            publish(
                deployment.team,
                "deployment.drifted",
                f"Requests to {deployment.name} differ much from what its model learnt from: the"
                " figures of its report may not hold any more.",
                url=f"{reverse('inference:deployment', args=[deployment.pk])}#drift",
                key=f"drift:{deployment.pk}:{deployment.changed_at.timestamp()}",
                data={"deployment": str(deployment.pk), "model": str(deployment.model_id)},
            )
