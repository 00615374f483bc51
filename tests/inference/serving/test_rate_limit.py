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
