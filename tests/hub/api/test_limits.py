from __future__ import annotations

import pytest

from hub.api.limits import LoginLimiter


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> LoginLimiter:
    return LoginLimiter(clock)


def failures(limiter: LoginLimiter, count: int, *, user: str = "ann", address: str = "192.0.2.1") -> list[float]:
    return [limiter.attempt(user, address) for _ in range(count)]


def test_ten_failures_are_free_and_the_next_one_waits(limiter: LoginLimiter) -> None:
    assert failures(limiter, 10) == [0.0] * 10
    assert limiter.attempt("ann", "192.0.2.1") == pytest.approx(30)


def test_time_gives_attempts_back_one_by_one(limiter: LoginLimiter, clock: Clock) -> None:
    failures(limiter, 11)
    clock.now_s += 31
    assert failures(limiter, 2)[0] == 0.0
    assert limiter.attempt("ann", "192.0.2.1") > 0


def test_waiting_long_gives_no_more_than_ten(limiter: LoginLimiter, clock: Clock) -> None:
    failures(limiter, 1)
    clock.now_s += 1e9
    assert [wait_s > 0 for wait_s in failures(limiter, 11)] == [False] * 10 + [True]


def test_one_address_may_not_try_many_users(limiter: LoginLimiter) -> None:
    for number in range(10):
        limiter.attempt(f"user{number}", "192.0.2.1")
    assert limiter.attempt("another", "192.0.2.1") > 0
    assert limiter.attempt("another", "192.0.2.2") == 0


def test_many_addresses_may_not_try_one_user(limiter: LoginLimiter) -> None:
    for number in range(10):
        limiter.attempt("ann", f"192.0.2.{number}")
    assert limiter.attempt("ann", "198.51.100.1") > 0
    assert limiter.attempt("bob", "198.51.100.1") == 0


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_an_ipv6_site_counts_as_one_address(limiter: LoginLimiter, first: str, second: str, *, same: bool) -> None:
    for number in range(10):
        limiter.attempt(f"user{number}", first)
    assert (limiter.attempt("another", second) > 0) == same


def test_a_login_that_succeeds_costs_nothing(limiter: LoginLimiter) -> None:
    for _ in range(50):
        assert limiter.attempt("ann", "192.0.2.1") == 0
        limiter.give_back("ann", "192.0.2.1")


def test_its_memory_is_bounded(limiter: LoginLimiter) -> None:
    for number in range(30_000):
        limiter.attempt(f"user{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limiter._buckets) == 10_000
