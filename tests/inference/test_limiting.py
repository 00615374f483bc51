from inference.server.limiting import RateLimit


def test_a_caller_may_burst_then_waits_for_its_share():
    limit = RateLimit(per_second=10, burst=3)
    assert [limit.wait_seconds("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert 0 < limit.wait_seconds("a", 0.0) <= 0.1
    assert limit.wait_seconds("a", 0.1) == 0


def test_callers_do_not_share_a_bucket():
    limit = RateLimit(per_second=1, burst=1)
    assert limit.wait_seconds("a", 0.0) == 0
    assert limit.wait_seconds("b", 0.0) == 0
    assert limit.wait_seconds("a", 0.0) > 0


def test_memory_stays_bounded_whatever_the_number_of_callers():
    limit = RateLimit(per_second=1, burst=1, most_callers=10)
    for number in range(100):
        limit.wait_seconds(str(number), 0.0)
    assert len(limit._buckets) == 10
