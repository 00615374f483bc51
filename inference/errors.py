"""What can go wrong with a deployment, in sentences for people."""

from web.errors import UserError


class NameTaken(UserError):
    code, status = "name_taken", 409
    sentence = "A deployment of this team already has this name. Move it, or choose another name."


class KeptByRule(UserError):
    code, status = "kept_by_rule", 409
    sentence = "The promotion rule of this deployment keeps the name where it is."


class BadRule(UserError):
    code, status = "bad_rule", 400
    sentence = "A rule must ask for something: a value, a value in every part, or not being worse."


class AlreadyRetired(UserError):
    code, status = "deployment_retired", 409
    sentence = "This deployment was retired. Deploy the model again to serve it."


class CannotServe(UserError):
    code, status = "cannot_serve", 400
    sentence = "This model cannot be served by this version."


class ModelsUnreachable(UserError):
    code, status = "models_unreachable", 503
    sentence = "The models process does not answer at the moment. Try again in a few seconds."


class BadQuestion(UserError):
    code, status = "bad_question", 400
    sentence = "That text could not be classified."


class PlanSettled(UserError):
    code, status = "plan_settled", 409
    sentence = "This job is finished. Deploy its model on the model's page."
