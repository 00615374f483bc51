"""What a page remembers while it is built, and that nothing else remembers."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from accounts.models import Membership
from web.browser.page_memo import PageMemoMiddleware, once_per_page


@pytest.fixture
def counter():
    calls = []

    @once_per_page
    def count(*args, **options):
        calls.append((args, options))
        return len(calls)

    return count


def answered(method, view):
    return PageMemoMiddleware(view)(getattr(RequestFactory(), method)("/"))


def test_a_page_asks_once_for_the_same_and_again_for_other_things(counter):
    seen = []

    def view(request):
        seen.extend([counter(1), counter(1), counter(2), counter(1, by=3), counter(1, by=3)])
        return HttpResponse()

    answered("get", view)
    answered("get", view)
    assert seen == [1, 1, 2, 3, 3, 4, 4, 5, 6, 6]


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_what_changes_something_asks_every_time(counter, method):
    seen = []

    def view(request):
        seen.extend([counter(), counter()])
        return HttpResponse()

    answered(method, view)
    assert seen == [1, 2]
    assert (counter(), counter()) == (3, 4)  # And so does everything outside of requests.


def test_a_stream_asks_anew_after_its_page(counter):
    def view(request):
        counter()
        return StreamingHttpResponse(str(counter()) for _ in range(3))

    answer = answered("get", view)
    assert b"".join(answer.streaming_content) == b"234"


def test_two_requests_at_once_remember_each_their_own(counter):
    both_have_asked = Barrier(2, timeout=10)

    def view(request):
        first = counter()
        both_have_asked.wait()
        return HttpResponse(f"{first}{counter()}")

    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(answered, "get", view) for _ in range(2)]
    assert sorted(answer.result().content for answer in answers) == [b"11", b"22"]


def test_an_error_closes_the_memory_too(counter):
    def view(request):
        counter()
        raise Http404

    with pytest.raises(Http404):
        answered("get", view)
    assert (counter(), counter()) == (2, 3)


def test_a_removed_member_is_a_stranger_at_the_next_request(things, bob, client_of):
    client = client_of(bob)
    assert client.get(f"/teams/{things['slug']}/").status_code == 200
    Membership.objects.filter(user=bob).delete()
    assert client.get(f"/teams/{things['slug']}/").status_code == 404
