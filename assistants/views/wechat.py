"""The callback for WeChat: its handshake, and messages in plain and encrypted mode."""

import time

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from assistants.errors import WechatRefused
from assistants.models import Channel
from assistants.wechat import crypto
from assistants.wechat.messages import parse_xml, read_message, write_envelope, write_reply
from assistants.wechat.replying import Account, reply_in_time
from web.validation.values import parse_digits

MAX_AGE_SECONDS = 600
MAX_BYTES = 64 * 1024


@csrf_exempt
@never_cache
@require_http_methods(["GET", "POST"])
def callback(request: HttpRequest, key: str) -> HttpResponse:
    """Answer a call of WeChat. 403 without WeChat's signature, 400 for anything but a message; then
    nothing is stored."""
    channels = Channel.objects.filter(kind=Channel.Kind.WECHAT, disabled_at=None)
    channel = channels.filter(public_key=key[:40]).select_related("assistant__team").first()
    if channel is None:
        return HttpResponse("unknown", status=404, content_type="text/plain")
    try:
        account = Account.of(channel)
        if request.method == "GET":
            _check_sender(request, account)
            return HttpResponse(request.GET.get("echostr", ""), content_type="text/plain")
        return _answer(request, channel, account)
    except WechatRefused as refusal:
        return HttpResponse(refusal.sentence, status=refusal.status, content_type="text/plain")


def _answer(request: HttpRequest, channel: Channel, account: Account) -> HttpResponse:
    if len(request.body) > MAX_BYTES:
        raise WechatRefused("This is no message of WeChat's.")
    fields = parse_xml(request.body)
    is_encrypted = request.GET.get("encrypt_type") == "aes" or "Encrypt" in fields
    if is_encrypted:
        fields = _open_envelope(request, account, fields)
    else:
        if account.encoding_key:
            raise WechatRefused("This account sends encrypted messages only.")
        _check_sender(request, account)
    message = read_message(fields)
    text = reply_in_time(channel, message)
    if text is None:
        return HttpResponse("success", content_type="text/plain")
    body = write_reply(message, text)
    if is_encrypted:
        cipher_text = crypto.encrypt(account.encoding_key, account.app_id, body)
        timestamp, nonce = str(int(time.time())), crypto.sign(cipher_text)[:10]
        signature = crypto.sign(account.token, timestamp, nonce, cipher_text)
        body = write_envelope(cipher_text, signature, timestamp, nonce)
    return HttpResponse(body, content_type="application/xml")


def _check_sender(request: HttpRequest, account: Account) -> None:
    timestamp, nonce = _stamp(request)
    signature = request.GET.get("signature", "")
    crypto.check_signature(signature, account.token, timestamp, nonce)


def _open_envelope(
    request: HttpRequest, account: Account, fields: dict[str, str]
) -> dict[str, str]:
    timestamp, nonce = _stamp(request)
    cipher_text = fields.get("Encrypt", "")
    signature = request.GET.get("msg_signature", "")
    crypto.check_signature(signature, account.token, timestamp, nonce, cipher_text)
    return parse_xml(crypto.decrypt(account.encoding_key, account.app_id, cipher_text))


def _stamp(request: HttpRequest) -> tuple[str, str]:
    """The timestamp and nonce. Raises WechatRefused for an old timestamp, as the message may be
    replayed."""
    timestamp, nonce = request.GET.get("timestamp", ""), request.GET.get("nonce", "")
    sent_at = parse_digits(timestamp, 11)
    if sent_at is None or abs(time.time() - sent_at) > MAX_AGE_SECONDS:
        raise WechatRefused("The timestamp is not of now.")
    return timestamp, nonce
