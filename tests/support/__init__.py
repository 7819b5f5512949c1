"""Fakes and canned responses that the tests share."""

from tests.support.api import MockApi
from tests.support.bodies import (
    ACCOUNT,
    BASE_URL,
    BUILD_UUID,
    TAG,
    TOKEN,
    build,
    envelope,
    log_page,
    refusal,
    result_info,
    tags,
)
from tests.support.clock import FakeClock, VirtualClock, settle
from tests.support.driving import CancelledStep, drive, stepped
from tests.support.leaks import nothing_left, tasks
from tests.support.server import Exchange, RawServer, Reply, Request, answer, cut, head, raw, reset, stall

__all__ = [
    "ACCOUNT",
    "BASE_URL",
    "BUILD_UUID",
    "TAG",
    "TOKEN",
    "CancelledStep",
    "Exchange",
    "FakeClock",
    "MockApi",
    "RawServer",
    "Reply",
    "Request",
    "VirtualClock",
    "answer",
    "build",
    "cut",
    "drive",
    "envelope",
    "head",
    "log_page",
    "nothing_left",
    "raw",
    "refusal",
    "reset",
    "result_info",
    "settle",
    "stall",
    "stepped",
    "tags",
    "tasks",
]
