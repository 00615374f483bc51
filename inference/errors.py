"""Expected errors of deployments, with their sentences for people."""

from web.errors import UserError


class DeploymentNameTaken(UserError):
    code, status = "name_taken", 409
    sentence = "An endpoint of this team already has this name. Choose another one."


class BlockedByPromotionRule(UserError):
    code, status = "kept_by_rule", 409
    sentence = "The promotion rule of this endpoint keeps its model."


class InvalidPromotionRule(UserError):
    code, status = "bad_rule", 400
    sentence = "A rule must ask for something: a value, a value in every part, or not being worse."


class AlreadyRetired(UserError):
    code, status = "deployment_retired", 409
    sentence = "This endpoint was taken down. Restore it, or deploy the model again."


class CannotServe(UserError):
    code, status = "cannot_serve", 400
    sentence = "This model cannot be served by this version."


class ModelsUnreachable(UserError):
    code, status = "models_unreachable", 503
    sentence = "The models process does not answer at the moment. Try again in a few seconds."


class PredictionRejected(UserError):
    code, status = "bad_question", 400
    sentence = "That text could not be classified."


class CannotPredictTable(UserError):
    code, status = "cannot_predict_table", 400
    sentence = "This table cannot be answered by this endpoint."


class NoCorrections(UserError):
    code, status = "no_corrections", 409
    sentence = "No correction is waiting: callers gave none, or the dataset has them all."


class NotRows(UserError):
    code, status = "not_rows", 409
    sentence = (
        "Requests of this endpoint are no rows of a table: its model reads pictures, or writes its"
        " labels into columns of their own."
    )


class NoWholeRows(UserError):
    code, status = "no_whole_rows", 409
    sentence = "Of these requests the log has no row whole, with an answer. Choose others."


class UnknownRequests(UserError):
    code, status = "unknown_requests", 400
    sentence = "Some of these requests are not in the log of this endpoint, or not any more."


class NoAnswers(UserError):
    code, status = "no_answers", 410
    sentence = "The answers of this table are not there yet, or their files were deleted."


class JobAlreadyFinished(UserError):
    code, status = "plan_settled", 409
    sentence = "This job is finished. Deploy its model on the model's page."


class NoSuchObject(UserError):
    code, status = "not_found", 404
    sentence = "There is no such object."


class UnsupportedEncoding(UserError):
    code, status = "unsupported_encoding", 415
    sentence = "A body with this Content-Encoding is not read here. Send it plain."


class BatchIsOver(UserError):
    code, status = "batch_is_over", 409
    sentence = "This batch has already ended, or its files are being written."


class UploadNotPending(UserError):
    code, status = "upload_not_pending", 409
    sentence = "This upload has ended. Begin another one."


class FineTuningRefused(UserError):
    code, status = "invalid_fine_tuning_request", 400
    sentence = "This fine-tune cannot be started as described."


class NotDeployedYet(UserError):
    code, status = "model_not_deployed", 403
    sentence = (
        "This fine-tuned model is not deployed, and this API token may not deploy it. Use a token"
        " with the write scope once, or deploy the model on its page."
    )


class NothingToRollBackTo(UserError):
    code, status = "nothing_to_roll_back_to", 409
    sentence = "This endpoint has answered with one model only: there is nothing to go back to."


class PermissionStays(UserError):
    code, status = "permission_stays", 409
    sentence = "Every project of a team may ask its models. Limit an API token to models instead."
