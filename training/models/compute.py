"""Where jobs run: kinds of machines and the trainers seen on them."""

from django.db import models


class ComputeClass(models.Model):
    """A kind of machine with a price; its code is also the SKU of its rate."""

    code = models.SlugField(primary_key=True)  # For example "cpu" or "gpu-h100".
    name = models.CharField(max_length=80)
    device = models.CharField(max_length=10, choices=[("cpu", "CPU"), ("cuda", "NVIDIA GPU")])
    devices = models.PositiveSmallIntegerField(default=1)
    memory_bytes = models.BigIntegerField()
    is_offered = models.BooleanField(default=True)
    order = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return self.name

    @property
    def queue(self) -> str:
        """The Celery queue its trainers listen to."""
        return f"compute.{self.code}"


class Worker(models.Model):
    """A trainer process that has been seen, so that waiting can be explained."""

    name = models.CharField(primary_key=True, max_length=120)
    compute_class = models.ForeignKey(ComputeClass, models.CASCADE, related_name="workers")
    version = models.CharField(max_length=20)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
