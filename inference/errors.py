"""What can go wrong with a deployment, in sentences for people."""

from web.errors import UserError


class NameTaken(UserError):
    code, status = "name_taken", 409
    sentence = "A deployment of this team already has this name. Move it, or choose another name."


class AlreadyRetired(UserError):
    code, status = "deployment_retired", 409
    sentence = "This deployment was retired. Deploy the model again to serve it."


class CannotServe(UserError):
    code, status = "cannot_serve", 400
    sentence = "This model cannot be served: only text classifiers can, for now."


class ModelsUnreachable(UserError):
    code, status = "models_unreachable", 503
    sentence = "The models process does not answer at the moment. Try again in a few seconds."


class BadQuestion(UserError):
    code, status = "bad_question", 400
    sentence = "That text could not be classified."


class PlanSettled(UserError):
    code, status = "plan_settled", 409
    sentence = "This job is finished. Deploy its model on the model's page."
