from inference.serving.rate_limit import RateLimiter


def test_a_caller_may_burst_then_waits_for_its_share():
    limit = RateLimiter(per_second=10, burst=3)
    assert [limit.wait_seconds("a", moment=0.0) for _ in range(3)] == [0, 0, 0]
    assert 0 < limit.wait_seconds("a", moment=0.0) <= 0.1
    assert limit.wait_seconds("a", moment=0.1) == 0


def test_callers_do_not_share_a_bucket():
    limit = RateLimiter(per_second=1, burst=1)
    assert limit.wait_seconds("a", moment=0.0) == 0
    assert limit.wait_seconds("b", moment=0.0) == 0
    assert limit.wait_seconds("a", moment=0.0) > 0


def test_memory_stays_bounded_whatever_the_number_of_callers():
    limit = RateLimiter(per_second=1, burst=1, max_callers=10)
    for number in range(100):
        limit.wait_seconds(str(number), moment=0.0)
    assert len(limit._buckets) == 10


def allowed(limit, caller="a", moment=0.0, count=100):
    return sum(not limit.wait_seconds(caller, moment=moment) for _ in range(count))


def test_processes_that_share_a_limit_allow_it_together():
    limiters = [RateLimiter(per_second=12, burst=24) for _ in range(3)]
    for limiter in limiters:
        limiter.set_processes(3)
    assert [allowed(limiter) for limiter in limiters] == [8, 8, 8]
    assert [allowed(limiter, moment=1.0) for limiter in limiters] == [4, 4, 4]
    limiters[0].set_processes(1)  # The others have ended.
    assert allowed(limiters[0], moment=3.0) == 24


def test_a_limit_smaller_than_the_number_of_processes_still_allows_a_request():
    limiter = RateLimiter(per_second=1, burst=2)
    limiter.set_processes(4)
    assert allowed(limiter) == 1
    assert allowed(limiter, moment=3.0) == 0
    assert allowed(limiter, moment=4.0) == 1


def test_the_headers_speak_of_the_whole_limit():
    limiter = RateLimiter(per_second=1, burst=10)
    limiter.set_processes(2)
    assert allowed(limiter, count=2) == 2
    headers = dict(limiter.limit_headers("a"))
    assert headers[b"x-ratelimit-limit-requests"] == b"10"
    assert headers[b"x-ratelimit-remaining-requests"] == b"6"
    assert headers[b"x-ratelimit-reset-requests"] == b"4.000s"
