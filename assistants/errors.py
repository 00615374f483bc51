"""Expected errors of assistants, with their sentences for people."""

from web.errors import UserError


class AssistantNameTaken(UserError):
    code, status = "name_taken", 409
    sentence = "An assistant of this team already has this name. Choose another name."


class AssistantPurged(UserError):
    code, status = "assistant_purged", 410
    sentence = "This assistant was in the trash for too long and is deleted."


class AssistantNotLive(UserError):
    code, status = "assistant_not_live", 409
    sentence = "This assistant is not live. Build a version, read its report and publish it."


class UnknownColumn(UserError):
    code, status = "unknown_column", 400


class NothingToLearn(UserError):
    code, status = "nothing_to_learn", 400
    sentence = "No row of this dataset holds both a question and an answer key."


class SourceRetired(UserError):
    code, status = "source_retired", 409
    sentence = "This source was retired already."


class WriterUnavailable(UserError):
    code, status = "writer_unavailable", 503
    sentence = "The language model that writes answers does not reply."


class StaleVersionState(UserError):
    code, status = "version_moved_on", 409
    sentence = "This version has changed meanwhile. Load it again."


class RefusedByGate(UserError):
    code, status = "refused_by_gate", 409
    sentence = "This version may not go live."


class NothingToRollBackTo(UserError):
    code, status = "nothing_to_roll_back_to", 409
    sentence = "No other version of this assistant has been live."


class BuildingAlready(UserError):
    code, status = "building_already", 409
    sentence = "A version of this assistant is being built. Wait until it is measured."


class InvalidRule(UserError):
    code, status = "invalid_rule", 400


class UnknownAssistant(UserError):
    code, status = "unknown_assistant", 404
    sentence = "There is no live assistant of this name for this key."


class ModelNotAllowed(UserError):
    code, status = "model_not_allowed", 403


class TokenBudgetSpent(UserError):
    code, status = "insufficient_quota", 402


class InvalidConsultation(UserError):
    code, status = "invalid_parameter", 400


class ConversationDeleted(UserError):
    code, status = "conversation_deleted", 410
    sentence = "This conversation was deleted meanwhile. Nothing of it is kept."


class TooManyQuestions(UserError):
    code, status, retry_after_seconds = "too_many_questions", 429, 60
    sentence = "Too many questions in a short time. Wait a minute and ask again."


class EncoderUnavailable(UserError):
    code, status = "encoder_unavailable", 503
    sentence = "Questions cannot be read at the moment. Try again in a few seconds."


class ConversationMovedOn(UserError):
    code, status = "conversation_moved_on", 409
    sentence = "Somebody else took or closed this conversation. Load it again."


class StateOfAnswer(UserError):
    code, status = "answer_moved_on", 409
    sentence = "This answer is not in a state that allows this. Load it again."


class JudgedAlready(UserError):
    code, status = "judged_already", 409
    sentence = "This decision has been judged."


class WechatRefused(UserError):
    code, status = "wechat_refused", 403
    sentence = "This did not come from WeChat."


class DeliveryNotFailed(UserError):
    code, status = "delivery_not_failed", 409
    sentence = "This reply was sent, or is being sent."


class MailFailed(UserError):
    code, status = "mail_failed", 502
    sentence = "The mail server did not do it."


class WaitsForVisitor(WechatRefused):
    sentence = (
        "This account may send no messages of its own: the visitor gets this reply with their next"
        " message."
    )


class InvalidAudio(UserError):
    code, status = "invalid_audio", 400


class AudioTooLarge(UserError):
    code, status = "audio_too_large", 413
    sentence = "A recording may have 5 MB. Send a shorter one, or a compressed one such as ogg."


class VoiceOff(UserError):
    code, status = "voice_off", 409


class VoiceBusy(UserError):
    code, status, retry_after_seconds = "voice_busy", 503, 10
    sentence = "Too many people are speaking at the moment. Try again, or write your question."


class VoiceUnavailable(UserError):
    code, status, retry_after_seconds = "voice_unavailable", 503, 30
    sentence = "Speech is not available at the moment. Write your question instead."


class UnknownSpeech(UserError):
    code, status = "unknown_speech", 404
    sentence = "There is no such spoken answer. It is kept for 24 hours, for who asked for it."
