"""The rows of inference: deployments, their rules and schedules, the request log, feedback, and
what the OpenAI-compatible API keeps."""

from inference.models.api_file import ApiFile, FileUpload, FileUploadPart, Purpose
from inference.models.batch import Batch, BatchAnswer, BatchStatus
from inference.models.deployment import Deployment, DeploymentQuerySet
from inference.models.feedback import Feedback
from inference.models.fine_tuning_job import FineTuningJob
from inference.models.promotion import PromotionRule, PromotionVerdict
from inference.models.request_log import RequestLog
from inference.models.scheduled_deployment import ScheduledDeployment
from inference.models.table_prediction import TablePrediction

__all__ = [
    "ApiFile",
    "Batch",
    "BatchAnswer",
    "BatchStatus",
    "Deployment",
    "DeploymentQuerySet",
    "Feedback",
    "FileUpload",
    "FileUploadPart",
    "FineTuningJob",
    "PromotionRule",
    "PromotionVerdict",
    "Purpose",
    "RequestLog",
    "ScheduledDeployment",
    "TablePrediction",
]
