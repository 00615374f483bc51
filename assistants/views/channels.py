"""Pages of channels: each with its steps, its settings and a test of them."""

import socket
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from assistants.errors import WechatRefused
from assistants.forms.channels import FORMS, SignatureForm
from assistants.lifecycle import (
    add_channel,
    change_channel,
    disable_channel,
    find_assistant,
    find_channel,
    rotate_key,
)
from assistants.mail.account import MailAccount, open_mailbox, open_outgoing
from assistants.models import Channel
from assistants.models.conversation import QUESTIONS_A_DAY
from assistants.views.assistants import page_context
from assistants.views.visitors import identity_secret
from assistants.wechat import crypto, replying
from assistants.wechat.replying import Account
from web.requests import AuthenticatedRequest

TITLES = {
    Channel.Kind.WEB: "Add a widget",
    Channel.Kind.API: "Add an API key",
    Channel.Kind.WECHAT: "Add a WeChat official account",
    Channel.Kind.EMAIL: "Add a mailbox",
}


@login_required
@require_safe
def channel_list(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id)
    context = {
        **page_context(request, assistant),
        "rows": assistant.channels.filter(disabled_at=None).select_related("mailbox"),
        "titles": TITLES,
        "public_url": settings.PUBLIC_URL,
    }
    return render(request, "assistants/channels.html", context)


@login_required
def add(request: AuthenticatedRequest, assistant_id: UUID, kind: str) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id, "write")
    if kind not in TITLES:
        raise Http404
    form = FORMS[kind](request.POST or None)
    if request.method == "POST" and form.is_valid():
        fields = form.changes()
        channel = add_channel(
            assistant,
            Channel.Kind(kind),
            request.user,
            name=fields["name"],
            allowed_origins=fields.get("allowed_origins"),
            secrets_sealed=fields.get("secrets", ""),
            daily_limit=fields.get("daily_limit", QUESTIONS_A_DAY),
            **fields.get("settings", {}),
        )
        return redirect("assistants:channel", channel.pk)
    context = {
        **page_context(request, assistant),
        "form": form,
        "title": TITLES[Channel.Kind(kind)],
    }
    return render(request, "assistants/channel_new.html", context)


@login_required
def channel(request: AuthenticatedRequest, channel_id: UUID) -> HttpResponse:
    """A channel's steps, settings and test."""
    is_change = request.method == "POST"
    channel = find_channel(request.user, channel_id, "write" if is_change else "")
    form = FORMS[channel.kind](request.POST or None, channel=channel)
    if is_change and form.is_valid():
        change_channel(channel, request.user, **form.changes())
        messages.success(request, "Saved.")
        return redirect("assistants:channel", channel.pk)
    page = page_context(request, channel.assistant)
    may_sign = channel.kind == Channel.Kind.WEB and page["may_change"]
    context = {
        **page,
        "channel": channel,
        "form": form,
        "signature_form": SignatureForm(),
        "public_url": settings.PUBLIC_URL,
        "identity_secret": identity_secret(channel) if may_sign else "",
        "own_addresses": _own_addresses() if channel.kind == Channel.Kind.WECHAT else [],
        "callback": settings.PUBLIC_URL + reverse("assistants:wechat", args=[channel.public_key]),
    }
    return render(request, "assistants/channel.html", context)


@login_required
@require_POST
def check(request: AuthenticatedRequest, channel_id: UUID) -> HttpResponse:
    """Test the channel's account at its mail servers or at WeChat."""
    channel = find_channel(request.user, channel_id, "write")
    if channel.kind == Channel.Kind.EMAIL:
        _check_mail(request, channel)
    elif channel.kind == Channel.Kind.WECHAT and "address" in request.POST:
        _check_signature(request, channel)
    elif channel.kind == Channel.Kind.WECHAT:
        _check_account(request, channel)
    else:
        raise Http404
    return redirect("assistants:channel", channel.pk)


@login_required
@require_POST
def rotate(request: AuthenticatedRequest, channel_id: UUID) -> HttpResponse:
    channel = find_channel(request.user, channel_id, "write")
    rotate_key(channel, request.user)
    messages.success(request, "The old key lets nobody in any more. Put the new one into use.")
    return redirect("assistants:channel", channel.pk)


def _own_addresses() -> list[str]:
    """What this server's name stands for; the way out to WeChat may be another one."""
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(entry[4][0]) for entry in found})


@login_required
@require_POST
def remove(request: AuthenticatedRequest, channel_id: UUID) -> HttpResponse:
    channel = find_channel(request.user, channel_id, "write")
    disable_channel(channel, request.user)
    messages.success(request, "Nobody gets in by this channel any more.")
    return redirect("assistants:channels", channel.assistant_id)


def _check_mail(request: HttpRequest, channel: Channel) -> None:
    """Log in at both mail servers. Raises MailFailed, which the page shows."""
    account = MailAccount.of(channel)
    with open_mailbox(account) as mailbox:
        mailbox.noop()
    with open_outgoing(account) as server:
        server.noop()
    messages.success(request, "Both servers let this account in.")


def _check_account(request: HttpRequest, channel: Channel) -> None:
    """Fetch a token from WeChat. Raises WechatRefused with WeChat's own words."""
    try:
        replying.fetch_token(Account.of(channel))
    except httpx.HTTPError as failure:
        raise WechatRefused(f"WeChat could not be reached: {type(failure).__name__}.") from failure
    messages.success(request, "WeChat knows this account.")


def _check_signature(request: HttpRequest, channel: Channel) -> None:
    form = SignatureForm(request.POST)
    parts = form.parts() if form.is_valid() else ("", "", "")
    if not all(parts):
        raise WechatRefused("This address lacks signature, timestamp or nonce.")
    try:
        crypto.check_signature(parts[0], Account.of(channel).token, *parts[1:])
    except WechatRefused:
        raise WechatRefused(
            "The signature is of another token: the token here and at WeChat differ."
        ) from None
    messages.success(request, "The signature is right: both sides have the same token.")
