"""Expected refusals about people, teams and webhooks, in sentences for people."""

from web.errors import UserError


class LastOwner(UserError):
    code, status = "last_owner", 409
    sentence = "A team needs an owner. Make somebody else an owner first."


class AlreadyMember(UserError):
    code, status = "already_member", 409
    sentence = "This person is already in the team."


class InvitationGone(UserError):
    code, status = "invitation_gone", 410
    sentence = "This invitation was used, withdrawn or has expired. Ask for a new link."


class InvitationEmailMismatch(UserError):
    code, status = "invitation_for_someone_else", 403
    sentence = "This invitation is for another e-mail address. Sign in with that address to join."


class EmailNotConfirmed(UserError):
    code, status = "email_not_confirmed", 403
    sentence = "Confirm your e-mail address first: open the link that was sent to it."


class TooManyTeams(UserError):
    code, status = "too_many_teams", 409


class WrongPassword(UserError):
    code, status = "wrong_password", 403
    sentence = "That is not your current password. Nobody was signed out."


class InvalidWebhookUrl(UserError):
    code = "unusable_url"
    sentence = "Enter a full address of at most 500 characters, such as https://example.com/hook."


class TooManyEndpoints(UserError):
    code, status = "too_many_endpoints", 409
    sentence = "A team can have 20 webhooks. Delete one first."


class EndpointDisabled(UserError):
    code, status = "endpoint_disabled", 409
    sentence = "This webhook is disabled. Enable it first."


class DeliveryInProgress(UserError):
    code, status = "still_sending", 409
    sentence = "This delivery is being sent right now. Look again in a minute."


class TokenIsOver(UserError):
    code, status = "token_is_over", 409
    sentence = "This token is revoked or has expired. Create a new one."
