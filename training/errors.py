"""What can go wrong with a job, in sentences for people."""

from web.errors import UserError


class StaleJobState(UserError):
    """Somebody else decided first: the job is no longer in a state this verb starts from."""

    code, status = "job_moved_on", 409
    sentence = "This job has already moved on. Reload the page to see its state."


class AlreadyRetried(UserError):
    """Of two who start the same thing again at once, one wins."""

    code, status = "already_started_again", 409
    sentence = "This was already started again and that job has not ended yet. Open it instead."


class AttemptEnded(Exception):
    """The row said stop: cancelled, paused, capped or fenced off. Nothing is left to do."""


class InvalidPriority(UserError):
    code, status = "bad_priority", 400
    sentence = "A priority is a whole number from -10 to 100."


class CannotLaunch(UserError):
    code, status = "cannot_launch", 400
    sentence = "This fine-tune cannot be launched as described."


class OverBudget(UserError):
    code, status = "over_budget", 402
    sentence = "The estimate is more than this team may still spend this month."


class TeamSuspended(UserError):
    code, status = "team_frozen", 403
    sentence = (
        "This team is suspended. Nothing new can run until an administrator lifts the suspension."
    )


class DataPurged(UserError):
    code, status = "data_purged", 410
    sentence = "The dataset of this model was in the trash for too long; its rows are deleted."


class ModelPurged(UserError):
    code, status = "model_purged", 410
    sentence = "This model was in the trash for too long and is deleted."


class TooManyAnalyses(UserError):
    code, status = "too_many_questions", 429
    sentence = "Many questions of this team are still being worked on. Wait for some to finish."
