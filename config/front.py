"""What stands in front of Django in the web process, outermost first: the guard, then
assistants asked as models, then inference, last the queue in which questions to assistants wait."""

import re
import shutil
import tempfile

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.db import close_old_connections
from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.authentication import find_uploader
from assistants.consultations.admission import with_admission_queue
from assistants.gateway import with_assistant_models
from inference.gateway.client_address import with_client_of_each_connection
from inference.gateway.inference_requests import is_inference_path
from inference.gateway.reverse_proxy import with_inference_proxy
from web.guard.application import HEALTH_PATHS, Guard
from web.guard.limits import Limits, Uploads
from web.guard.trusted_proxies import TrustedProxies
from web.streams.detached import DetachedStreams

# Where a file may come: the form of a project, its twin in the API, and where OpenAI has files.
UPLOAD_PATH = re.compile(
    r"/projects/[0-9a-f-]{36}/upload/|/deployments/[0-9a-f-]{36}/tables/|/api/v1/datasets|/v1/files"
    r"|/v1/uploads/[^/]{1,80}/parts"
)
PART_PATH = re.compile(r"/projects/[0-9a-f-]{36}/uploads/[0-9a-f-]{36}/")  # Of a resumable one.
# Where a question may be spoken: a recording of 5 MB grows by a third in base64.
VOICE_PATH = re.compile(r"/consult|/v1/assistants/[^/]{1,80}/consult|/w/[^/]{1,40}/messages")
VOICE_BODY_BYTES = 7 * 1024**2
FREE_BYTES = 1024**3  # Of the folder for temporary files; an upload never takes the last of it.


def with_front(django: ASGIApp, probes: ASGIApp) -> ASGIApp:
    """The whole web process as one ASGI application; `probes` answers the addresses of health."""
    questions = with_admission_queue(django)

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        answers = probes if scope["path"] in HEALTH_PATHS else questions
        await answers(scope, receive, send)

    served = DetachedStreams(route)
    guarded = Guard(
        with_assistant_models(with_inference_proxy(served), served),
        limits=Limits.from_settings(),
        proxies=TrustedProxies(settings.TRUSTED_PROXIES),
        max_body_bytes=_max_body_bytes,
        uploads=Uploads(settings.MAX_UPLOAD_BYTES, is_upload, _find_uploader, _has_room),
    )
    return with_client_of_each_connection(guarded)


def _max_body_bytes(path: str) -> int | None:
    if VOICE_PATH.fullmatch(path):
        return VOICE_BODY_BYTES
    return settings.MODELS_MAX_BODY_BYTES if is_inference_path(path) else None


def is_upload(scope: Scope) -> bool:
    """Whether a body of this request may be as large as MAX_UPLOAD_BYTES."""
    paths = {"POST": UPLOAD_PATH, "PATCH": PART_PATH}.get(scope["method"])
    return paths is not None and paths.fullmatch(scope["path"]) is not None


async def _find_uploader(scope: Scope) -> str | None:
    headers = dict(scope["headers"])
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    cookies = headers.get(b"cookie", b"").decode("latin-1")

    def find() -> str | None:
        try:
            return find_uploader(authorization, cookies)
        finally:
            close_old_connections()

    async with ThreadSensitiveContext():  # A thread of its own: nobody else's query is waited for.
        return await sync_to_async(find)()


def _has_room(size: int) -> bool:
    return shutil.disk_usage(tempfile.gettempdir()).free > size + FREE_BYTES
