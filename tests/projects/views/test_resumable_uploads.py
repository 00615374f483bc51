"""Files in parts, by the tus protocol: from the first byte to a dataset version."""

import base64
import os
import socket
import threading
from datetime import timedelta

import httpx
import pytest
from django.conf import settings
from django.utils.timezone import now

from projects import storage
from projects.importing import resumable_uploads
from projects.models import DatasetVersion, ResumableUpload
from tests.web.guard.served import web_process

TUS = {"Tus-Resumable": "1.0.0"}
PART = "application/offset+octet-stream"
CONTENT = b"text,label\n" + b"".join(b"my question %d,topic %d\n" % (n, n % 3) for n in range(500))


def metadata(name: str) -> str:
    return f"filename {base64.b64encode(name.encode()).decode()},is_confidential"


SIZE = len(CONTENT)


def begin(client, project, size=SIZE, name="größe.csv"):
    return client.post(
        f"/projects/{project.pk}/uploads/",
        headers=TUS | {"Upload-Length": str(size), "Upload-Metadata": metadata(name)},
    )


def send(client, address, offset, content, content_type=PART):
    return client.patch(
        address, content, content_type=content_type, headers=TUS | {"Upload-Offset": str(offset)}
    )


def offset_of(client, address):
    return int(client.head(address, headers=TUS).headers["Upload-Offset"])


@pytest.mark.django_db
def test_a_file_in_parts_becomes_the_version_that_it_would_be_whole(project, alice, client_of):
    client = client_of(alice)
    address = begin(client, project).headers["Location"]
    assert send(client, address, 0, CONTENT[:1000]).headers["Upload-Offset"] == "1000"
    assert send(client, address, 0, CONTENT[:1000]).status_code == 409
    early = client.post(f"/projects/{project.pk}/upload/", {"resumable": address.split("/")[-2]})
    assert "has not arrived whole" in early.content.decode()
    assert offset_of(client, address) == 1000
    assert send(client, address, 1000, CONTENT[1000:] + b"!").status_code == 400
    assert send(client, address, 1000, CONTENT[1000:]).status_code == 204
    made = client.post(f"/projects/{project.pk}/upload/", {"resumable": address.split("/")[-2]})
    version = DatasetVersion.objects.get()
    assert made.url == f"/datasets/{version.dataset_id}/"
    with storage.open_file(version.upload_key) as stored:
        assert stored.read() == CONTENT
    assert (version.filename, version.upload_bytes) == ("größe.csv", len(CONTENT))
    assert not ResumableUpload.objects.exists()
    assert not storage.list_folders("resumable-uploads")
    again = client.post(f"/projects/{project.pk}/upload/", {"resumable": address.split("/")[-2]})
    assert "Choose the file again" in again.content.decode()


@pytest.mark.django_db
def test_what_the_protocol_forbids_is_refused_and_nothing_of_others_is_seen(
    project, alice, mallory, client_of
):
    client = client_of(alice)
    address = begin(client, project).headers["Location"]
    options = client.options(address)
    assert (options.headers["Tus-Version"], options.status_code) == ("1.0.0", 204)
    assert client.head(address).status_code == 412
    assert send(client, address, 0, b"a", "text/csv").status_code == 415
    assert send(client, address, "x", b"a").status_code == 400
    assert client.get(address).status_code == 405
    assert begin(client, project, settings.MAX_UPLOAD_BYTES + 1).status_code == 413
    assert begin(client, project, "-1").status_code == 400
    assert begin(client, project, 0).status_code == 400
    stranger = client_of(mallory)
    assert begin(stranger, project).status_code == 404
    assert stranger.head(address, headers=TUS).status_code == 404
    assert send(stranger, address, 0, b"a").status_code == 404
    assert client.delete(address, headers=TUS).status_code == 204
    assert client.head(address, headers=TUS).status_code == 404
    many = [begin(client, project).status_code for _ in range(11)]
    assert many == [201] * 10 + [429]


@pytest.mark.django_db
def test_what_nobody_goes_on_with_is_deleted(project, alice, client_of):
    client = client_of(alice)
    address = begin(client, project).headers["Location"]
    send(client, address, 0, CONTENT[:1000])
    resumable_uploads.delete_abandoned()
    assert ResumableUpload.objects.count() == 1
    ResumableUpload.objects.update(touched_at=now() - timedelta(days=2))
    resumable_uploads.delete_abandoned()
    assert not ResumableUpload.objects.exists()
    assert not storage.list_folders("resumable-uploads")


@pytest.mark.nightly
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_upload_goes_on_after_its_connection_dropped(project, alice, client_of):
    """Through a real web process, and two requests that send the same part at once."""
    session = client_of(alice).cookies[settings.SESSION_COOKIE_NAME].value
    content = os.urandom(9_000_000)
    with web_process() as served:
        http = httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=60)
        http.cookies.set(settings.SESSION_COOKIE_NAME, session)
        http.get(f"/projects/{project.pk}/upload/").raise_for_status()
        http.headers.update(TUS | {"X-CSRFToken": http.cookies["csrftoken"]})
        begun = http.post(
            f"/projects/{project.pk}/uploads/",
            headers={"Upload-Length": str(len(content)), "Upload-Metadata": metadata("r.bin")},
        )
        address = begun.headers["Location"]
        cookies = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
        with socket.create_connection(("127.0.0.1", served.port)) as dropped:
            dropped.sendall(
                f"PATCH {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n"
                f"X-CSRFToken: {http.headers['X-CSRFToken']}\r\nTus-Resumable: 1.0.0\r\n"
                f"Content-Type: {PART}\r\nUpload-Offset: 0\r\n"
                f"Content-Length: {len(content)}\r\n\r\n".encode()
                + content[:6_000_000]
            )
        assert http.head(address).headers["Upload-Offset"] == "0"
        statuses = []

        def patch(offset: int, part: bytes) -> None:
            headers = {"Upload-Offset": str(offset), "Content-Type": PART}
            statuses.append(http.patch(address, content=part, headers=headers).status_code)

        twice = [threading.Thread(target=patch, args=(0, content[:8_000_000])) for _ in range(2)]
        for one in twice:
            one.start()
        for one in twice:
            one.join()
        assert sorted(statuses) == [204, 409]
        patch(8_000_000, content[8_000_000:])
        made = http.post(
            f"/projects/{project.pk}/upload/", data={"resumable": address.split("/")[-2]}
        )
        assert made.status_code == 302, made.text
    with storage.open_file(DatasetVersion.objects.get().upload_key) as stored:
        assert stored.read() == content
