"""Where jobs run: kinds of machines with a price."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

QUEUE_PREFIX = "compute."
MIN_TIME_LIMIT_SECONDS = 60
MAX_TIME_LIMIT_SECONDS = 30 * 86_400


class ComputeClass(models.Model):
    """A kind of machine with a price; its code is also the SKU of its rate."""

    code = models.SlugField(
        primary_key=True, help_text="Names its queue, its rate and it in the API; never changes."
    )  # For example "cpu" or "gpu-h100".
    name = models.CharField(max_length=80)
    device = models.CharField(max_length=10, choices=[("cpu", "CPU"), ("cuda", "NVIDIA GPU")])
    devices = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(64)],
        help_text="How many devices one job gets; a second on it is billed for each.",
    )
    memory_bytes = models.BigIntegerField(
        validators=[MinValueValidator(1)], help_text="Of one device; estimates go by it."
    )
    time_limit_seconds = models.PositiveIntegerField(
        default=86_400,
        validators=[
            MinValueValidator(MIN_TIME_LIMIT_SECONDS),
            MaxValueValidator(MAX_TIME_LIMIT_SECONDS),
        ],
        help_text="Longest billable run time of one job in seconds; a launch may ask for less.",
    )
    is_offered = models.BooleanField("offered", default=True)
    order = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name_plural = "compute classes"
        constraints = [
            models.CheckConstraint(
                name="training_class_has_devices", condition=Q(devices__gte=1, memory_bytes__gte=1)
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def queue(self) -> str:
        """The Celery queue its trainers listen to."""
        return f"{QUEUE_PREFIX}{self.code}"
