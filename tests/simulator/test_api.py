"""The simulated API without a socket: who may ask, what is answered, and in what shape."""

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.models.builds import Build, BuildMap, CanceledBuild
from builds_async.models.envelope import Envelope, Page
from builds_async.models.logs import LogPage
from builds_async.simulator import (
    Behaviour,
    BuildsSimulator,
    Fault,
    RateLimit,
    Request,
    TokenKind,
    VirtualClock,
)

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID = "8d3b7a4e-3c57-4e0a-9a39-0a3f6c0f3b11"
BUILD_FIELDS = {
    "build_uuid",
    "status",
    "build_outcome",
    "created_on",
    "modified_on",
    "initializing_on",
    "running_on",
    "stopped_on",
    "pull_request",
    "deploy_hook",
    "trigger",
    "build_trigger_metadata",
}


@pytest.fixture
def sim(clock: VirtualClock) -> BuildsSimulator:
    """A simulator on the virtual clock."""
    return BuildsSimulator(clock=clock)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (401, 12005)),
        ({"authorization": "Bearer "}, (401, 12005)),
        ({"authorization": "Basic abc"}, (401, 12005)),
        ({"x-auth-email": "a@example.com"}, (401, 12005)),
        ({"authorization": "Bearer wrong"}, (401, 12006)),
        ({"x-auth-email": "a@example.com", "x-auth-key": "wrong"}, (401, 12006)),
    ],
    ids=["nothing", "no token", "another scheme", "half a pair", "unknown token", "unknown key"],
)
def test_who_is_not_known_is_told_so(
    headers: dict[str, str], expected: tuple[int, int], sim: BuildsSimulator, door: Any
) -> None:
    """401: 12005 when nothing was shown, 12006 when it is not valid, also for unknown routes."""
    assert door(sim).error(f"builds/{UUID}", headers=headers) == expected
    assert door(sim).error("nowhere", headers=headers) == expected


@pytest.mark.parametrize(
    ("kind", "reading", "cancelling"),
    [
        (TokenKind.FULL, 200, 200),
        (TokenKind.READ_ONLY, 200, (403, 10000)),
        (TokenKind.NO_PERMISSION, (403, 10000), (403, 10000)),
        (TokenKind.ACCOUNT_OWNED, (401, 12006), (401, 12006)),
    ],
)
def test_a_token_may_do_what_its_kind_says(
    kind: TokenKind, reading: Any, cancelling: Any, sim: BuildsSimulator, door: Any
) -> None:
    """Each kind of token is refused as the real one is."""
    headers = {"authorization": f"Bearer {sim.add_token(kind)}"}
    path = f"builds/{sim.add_build().build_uuid}"
    for method, where, expected in (("GET", path, reading), ("PUT", f"{path}/cancel", cancelling)):
        if expected == 200:
            assert door(sim)(where, method=method, headers=headers).status == 200
        else:
            assert door(sim).error(where, method=method, headers=headers) == expected


def test_the_email_and_key_pair_is_accepted_unless_switched_off(clock: VirtualClock, door: Any) -> None:
    """Whether the real endpoints take the pair is unknown, so both can be had."""
    pair = {"x-auth-email": "a@example.com", "x-auth-key": "k"}
    for accepted in (True, False):
        sim = BuildsSimulator(
            clock=clock,
            api_email="a@example.com",
            api_key="k",
            behaviour=Behaviour(email_key_pair=accepted),
        )
        answer = door(sim)(f"builds/{sim.add_build().build_uuid}", headers=pair)
        assert answer.status == (200 if accepted else 401)
    with pytest.raises(ValueError, match="belong together"):
        BuildsSimulator(api_email="a@example.com")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "builds/not-a-uuid"),
        ("GET", f"builds/{UUID}"),
        ("GET", f"builds/{UUID}/logs"),
        ("PUT", f"builds/{UUID}/cancel"),
        ("GET", f"builds/{UUID}/cancel"),
        ("POST", f"builds/{UUID}"),
        ("GET", "builds/"),
        ("GET", "triggers"),
        ("GET", "workers/my-worker/builds"),
    ],
)
def test_what_does_not_exist_is_not_found(method: str, path: str, sim: BuildsSimulator, door: Any) -> None:
    """404 with 12000, for unknown builds, unknown routes and names in place of tags alike."""
    sim.add_worker("my-worker")
    assert door(sim).error(path, method=method) == (404, 12000)


def test_a_method_that_has_no_route_does_nothing(sim: BuildsSimulator, door: Any) -> None:
    """404 with 12000, for a build that exists."""
    path = f"builds/{sim.add_build().build_uuid}"
    for method, where in (
        ("GET", f"{path}/cancel"),
        ("POST", path),
        ("DELETE", path),
        ("PUT", f"{path}/logs"),
    ):
        assert door(sim).error(where, method=method) == (404, 12000)
    assert door(sim).result(path)["status"] == "queued"


@pytest.mark.parametrize(
    "target", ["/", "/client/v4/user", "/client/v4/accounts", "//", "/client/v4/accounts?x"]
)
def test_nothing_is_served_outside_of_the_account(target: str, sim: BuildsSimulator) -> None:
    """404 with 12000, once the token is known."""
    answer = sim.answer(Request(target=target, headers={"authorization": f"Bearer {sim.api_token}"}))
    assert (answer.status, b"12000" in answer.body) == (404, True)


def test_another_account_is_refused(sim: BuildsSimulator, door: Any) -> None:
    """A token sees its own account only: 403 with 10000."""
    assert door(sim).error(f"builds/{UUID}", account="0" * 32) == (403, 10000)


async def test_a_build_has_every_field_in_every_state(
    sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """Dates that are not yet known are null; the others have milliseconds and end in Z."""
    build = sim.add_build(
        [
            (1, BuildStatus.INITIALIZING),
            (2, BuildStatus.RUNNING),
            (3, BuildStatus.STOPPED),
            (4, BuildOutcome.FAIL),
        ]
    )
    known = ("initializing_on", "running_on", "stopped_on", "build_outcome")
    modified = []
    for second in range(5):
        body = door(sim).result(f"builds/{build.build_uuid}")
        assert set(body) == BUILD_FIELDS
        assert [body[name] is not None for name in known] == [second > number for number in range(4)]
        stamps = [value for name, value in body.items() if name.endswith("_on") and value]
        assert all(STAMP.fullmatch(stamp) for stamp in stamps)
        modified.append(body["modified_on"])
        await clock.sleep(1.0)
    assert modified[:4] == [body[name] for name in ("created_on", *known[:3])]
    assert modified[4] > modified[3]


def test_a_preview_url_comes_with_the_single_look_up_of_a_success_only(
    sim: BuildsSimulator, door: Any
) -> None:
    """The key is absent everywhere else."""
    success = sim.add_finished_build(preview_url="https://preview.example")
    failure = sim.add_finished_build(outcome=BuildOutcome.FAIL)
    ask = door(sim)
    assert ask.result(f"builds/{success.build_uuid}")["preview_url"] == "https://preview.example"
    assert "preview_url" not in ask.result(f"builds/{failure.build_uuid}")
    latest = ask.result("builds/latest", external_script_ids=success.external_script_id)
    assert "preview_url" not in latest["builds"][success.external_script_id]


def test_what_is_said_about_a_build_is_shown(sim: BuildsSimulator, door: Any) -> None:
    """Options go where the API shows them."""
    tag = sim.add_worker("shop")
    build = sim.add_build(
        external_script_id=tag,
        branch="feature/x",
        commit_hash="",
        commit_message="",
        author="",
        source="manual",
        pull_request_url="https://example.com/pull/1",
        deploy_hook_name="nightly",
    )
    body = door(sim).result(f"builds/{build.build_uuid}")
    metadata = body["build_trigger_metadata"]
    assert [metadata[key] for key in ("branch", "commit_hash", "commit_message", "author")] == [
        "feature/x",
        "",
        "",
        "",
    ]
    assert (metadata["build_trigger_source"], metadata["repo_name"]) == ("manual", "shop")
    assert body["pull_request"]["pull_request_url"] == "https://example.com/pull/1"
    assert body["deploy_hook"] == {"deploy_hook_name": "nightly"}
    assert body["trigger"]["external_script_id"] == tag
    assert "build_token_uuid" not in body["trigger"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [("objects", {"A": "1", "B": None}), ("strings", {"A": "1", "B": None}), ("null", None)],
)
def test_environment_variables_have_the_shape_of_the_switch(
    how: Any, expected: Any, clock: VirtualClock, door: Any
) -> None:
    """Objects with their value, the bare values, or null for the whole map."""
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(environment_variables=how))
    build = sim.add_build(environment_variables={"A": "1", "B": None})
    variables = door(sim).result(f"builds/{build.build_uuid}")["build_trigger_metadata"][
        "environment_variables"
    ]
    if how == "objects":
        assert {name: value["is_secret"] for name, value in variables.items()} == {"A": False, "B": True}
        variables = {name: value["value"] for name, value in variables.items()}
    assert variables == expected


def test_words_can_be_replaced(clock: VirtualClock, door: Any) -> None:
    """The service may say words that are not documented."""
    assert BuildsSimulator().behaviour == Behaviour()
    words = {"running": "building", "success": "great"}
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(status_words=words))
    running, done = sim.add_build([(0, "line")]), sim.add_finished_build()
    ask = door(sim)
    assert ask.result(f"builds/{running.build_uuid}")["status"] == "building"
    assert ask.result(f"builds/{done.build_uuid}")["build_outcome"] == "great"


@pytest.mark.parametrize("late", [0.0, 3.0, "never"], ids=str)
async def test_the_outcome_may_be_late(late: Any, clock: VirtualClock, door: Any) -> None:
    """`stopped` is seen first, and the outcome after so many seconds, or never."""
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(late_outcome=late))
    build = sim.add_build([(1, "line"), (2, BuildOutcome.SUCCESS)])
    await clock.sleep(2.0)
    seen = [door(sim).result(f"builds/{build.build_uuid}")]
    await clock.sleep(3.0)
    seen.append(door(sim).result(f"builds/{build.build_uuid}"))
    assert [body["status"] for body in seen] == ["stopped", "stopped"]
    expected = {0.0: ["success", "success"], 3.0: [None, "success"], "never": [None, None]}
    assert [body["build_outcome"] for body in seen] == expected[late]
    assert (seen[0]["modified_on"] == seen[1]["modified_on"]) is (late != 3.0)


def test_cancelling_answers_with_the_end_of_the_build(sim: BuildsSimulator, door: Any) -> None:
    """The outcome and the date, without a status; afterwards the build says the same."""
    build = sim.add_build([(0, "line")])
    body = door(sim).result(f"builds/{build.build_uuid}/cancel", method="PUT")
    assert set(body) == {"build_uuid", "build_outcome", "stopped_on"}
    after = door(sim).result(f"builds/{build.build_uuid}")
    assert (after["status"], after["build_outcome"]) == ("stopped", "cancelled")
    assert body == {key: after[key] for key in body}


@pytest.mark.parametrize("how", ["ok", 400, 404, 409], ids=str)
def test_cancelling_a_finished_build_answers_as_the_switch_says(
    how: Any, clock: VirtualClock, door: Any
) -> None:
    """Whatever the answer, the build stays as it was."""
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(cancel_finished=how))
    build = sim.add_finished_build()
    answer = door(sim)(f"builds/{build.build_uuid}/cancel", method="PUT")
    assert answer.status == (200 if how == "ok" else how)
    assert msgspec.json.decode(answer.body)["success"] is (how == "ok")
    assert build.outcome == BuildOutcome.SUCCESS


@pytest.mark.parametrize("how", ["absent", "null"])
def test_bulk_look_ups_are_keyed_by_what_was_asked(how: Any, clock: VirtualClock, door: Any) -> None:
    """Known ids have their build; the others no key, or null."""
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(unknown_ids=how))
    build, idle = sim.add_finished_build(), sim.add_worker()
    ask = door(sim)
    unknown = {} if how == "absent" else {"x": None, idle: None}
    tag, version = build.external_script_id, build.version_id
    latest = ask.result("builds/latest", external_script_ids=f"x,{tag},{idle}")["builds"]
    by_version = ask.result("builds", version_ids=f"x,{version},{idle}")["builds"]
    assert latest == unknown | {tag: latest[tag]}
    assert by_version == unknown | {version: latest[tag]}
    assert latest[tag]["build_uuid"] == build.build_uuid


@pytest.mark.parametrize(
    "asked", [("builds", "version_ids"), ("builds/latest", "external_script_ids")], ids=" ".join
)
@pytest.mark.parametrize(
    ("ids", "status"),
    [(None, 400), ("", 400), ("a,,b", 400), (",".join("a" * 20), 200), (",".join("a" * 21), 400)],
    ids=["missing", "empty", "an empty one", "twenty", "twenty-one"],
)
def test_bulk_look_ups_take_one_to_twenty_ids(
    asked: tuple[str, str], ids: str | None, status: int, sim: BuildsSimulator, door: Any
) -> None:
    """Anything else is 400 with 12013."""
    path, name = asked
    query = {} if ids is None else {name: ids}
    answer = door(sim)(path, **query)
    assert answer.status == status
    if status == 400:
        assert door(sim).error(path, **query) == (400, 12013)


def test_the_latest_build_is_the_newest(sim: BuildsSimulator, door: Any) -> None:
    """By the date of its creation; of equals the one added last. Unlisted builds do not count."""
    tag, ask = sim.add_worker(), door(sim)
    sim.add_build(external_script_id=tag)
    second = sim.add_build(external_script_id=tag)
    sim.add_finished_build(external_script_id=tag)
    hidden = sim.add_build(external_script_id=tag, listed=False)
    latest = ask.result("builds/latest", external_script_ids=tag)["builds"][tag]
    assert latest["build_uuid"] == second.build_uuid
    assert ask.result(f"builds/{hidden.build_uuid}")["status"] == "queued"


@pytest.mark.parametrize(
    ("query", "shown", "info"),
    [
        ({}, range(50), {"page": 1, "per_page": 50, "count": 50, "total_pages": 3, "next_page": True}),
        (
            {"page": 3},
            range(100, 120),
            {"page": 3, "per_page": 50, "count": 20, "total_pages": 3, "next_page": False},
        ),
        (
            {"page": 4},
            range(0),
            {"page": 4, "per_page": 50, "count": 0, "total_pages": 3, "next_page": False},
        ),
        (
            {"page": 2, "per_page": 60},
            range(60, 120),
            {"page": 2, "per_page": 60, "count": 60, "total_pages": 2, "next_page": False},
        ),
        (
            {"per_page": 200},
            range(120),
            {"page": 1, "per_page": 200, "count": 120, "total_pages": 1, "next_page": False},
        ),
    ],
    ids=["default", "last", "beyond", "exact end", "all"],
)
def test_the_builds_of_a_worker_come_in_pages_newest_first(
    query: dict[str, int], shown: range, info: dict[str, Any], sim: BuildsSimulator, door: Any
) -> None:
    """Each page says where it stands."""
    tag = sim.add_worker()
    builds = [sim.add_finished_build(0, age=float(age), external_script_id=tag) for age in range(120)]
    body = door(sim).body(f"workers/{tag}/builds", **query)
    assert [build["build_uuid"] for build in body["result"]] == [builds[age].build_uuid for age in shown]
    assert body["result_info"] == info | {"total_count": 120}


@pytest.mark.parametrize(
    "query",
    [
        *({"page": text} for text in (0, -1, "x", "", "1.0", "\u0661", "9" * 5000)),
        *({"per_page": text} for text in (0, 201)),
    ],
    ids=lambda query: "-".join(f"{key}={value}"[:20] for key, value in query.items()),
)
def test_a_bad_page_is_refused(query: dict[str, Any], sim: BuildsSimulator, door: Any) -> None:
    """400 with 12013."""
    assert door(sim).error(f"workers/{sim.add_worker()}/builds", **query) == (400, 12013)


@pytest.mark.parametrize(("how", "status"), [("empty", 200), ("not_found", 404)])
def test_an_unknown_tag_has_no_builds(how: Any, status: int, clock: VirtualClock, door: Any) -> None:
    """An empty list or 404, as the switch says; a Worker without builds has an empty list."""
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(unknown_worker=how))
    assert door(sim)(f"workers/{'0' * 32}/builds").status == status
    body = door(sim).body(f"workers/{sim.add_worker()}/builds")
    assert (body["result"], body["result_info"]["total_pages"]) == ([], 0)


def test_every_result_decodes_as_its_model(sim: BuildsSimulator, door: Any) -> None:
    """The six endpoints answer what the models of the wire expect, in the common envelope."""
    build, ask = sim.add_finished_build(), door(sim)
    path, tag = f"builds/{build.build_uuid}", build.external_script_id
    answers: list[tuple[type, Any]] = [
        (Build, ask(path)),
        (LogPage, ask(f"{path}/logs")),
        (CanceledBuild, ask(f"{path}/cancel", method="PUT")),
        (BuildMap, ask("builds", version_ids=build.version_id)),
        (BuildMap, ask("builds/latest", external_script_ids=tag)),
    ]
    for model, answer in answers:
        decoded = msgspec.json.decode(answer.body, type=Envelope[model])  # type: ignore[valid-type]  # a table
        assert (decoded.success, type(decoded.result)) == (True, model)
        assert set(msgspec.json.decode(answer.body)) == {"success", "errors", "messages", "result"}
    page = msgspec.json.decode(ask(f"workers/{tag}/builds").body, type=Page[Build])
    assert [found.build_uuid for found in page] == [build.build_uuid]
    decoded_build = msgspec.json.decode(answers[0][1].body, type=Envelope[Build]).result
    assert isinstance(decoded_build, Build)
    assert decoded_build.succeeded


async def test_each_answer_carries_the_headers_of_the_service(
    sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """A new ray each time, the simulator's own date, and the state of the rate limit."""
    build = sim.add_build()
    first = door(sim)(f"builds/{build.build_uuid}").headers
    await clock.sleep(60.0)
    second = door(sim)("nowhere").headers
    assert first["cf-ray"] != second["cf-ray"]
    assert re.fullmatch(r"[0-9a-f]{16}-\w{3}", first["cf-ray"])
    assert first["Content-Type"] == "application/json"
    assert first["Ratelimit-Policy"] == '"default";q=1200;w=300'
    assert (first["Ratelimit"], second["Ratelimit"]) == ('"default";r=1199;t=300', '"default";r=1198;t=240')
    dates = [parsedate_to_datetime(headers["Date"]) for headers in (first, second)]
    assert dates[1] - dates[0] == timedelta(seconds=60)


@pytest.mark.parametrize(
    "options",
    [{"behaviour": Behaviour(rate_limit_headers=False)}, {"rate_limit": None}],
    ids=["switched off", "no limit"],
)
def test_rate_limit_headers_can_be_missing(options: dict[str, Any], clock: VirtualClock, door: Any) -> None:
    """Whether these endpoints send them is unknown."""
    headers = door(BuildsSimulator(clock=clock, **options))("nowhere").headers
    assert not [name for name in headers if "ratelimit" in name.lower()]


async def test_past_the_limit_everything_is_refused_for_a_whole_window(
    clock: VirtualClock, door: Any
) -> None:
    """429 with 971 and the seconds to wait, and afterwards the window is empty."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(3, 10.0))
    ask, path = door(sim), f"builds/{sim.add_build().build_uuid}"
    assert [ask(path).status for _ in range(3)] == [200, 200, 200]
    await clock.sleep(9.5)
    refused = ask(path)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "10")
    assert refused.headers["Ratelimit"] == '"default";r=0;t=10'
    await clock.sleep(9.75)
    refused = ask(path)
    assert (refused.headers["Retry-After"], refused.headers["Ratelimit"]) == ("1", '"default";r=0;t=1')
    await clock.sleep(0.25)
    assert ask(path).headers["Ratelimit"] == '"default";r=2;t=10'


def test_request_without_a_valid_token_uses_up_nothing(clock: VirtualClock, door: Any) -> None:
    """Neither the user's rate limit nor a planned fault is for a request that is nobody's."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(1, 10.0), faults=[Fault("not_json")])
    ask, path = door(sim), f"builds/{sim.add_build().build_uuid}"
    strangers: tuple[dict[str, str], ...] = (
        {},
        {"authorization": "Bearer wrong"},
        {"x-auth-email": "a@b.c", "x-auth-key": "wrong"},
    )
    assert [ask(path, headers=headers).status for headers in strangers] == [401] * 3
    assert not ask(path).body.startswith(b"{")  # the fault
    assert ask(path).status == 429
    assert ask(path, headers={}).status == 401


async def test_the_window_slides(clock: VirtualClock, door: Any) -> None:
    """At most so many requests in any window, wherever it begins; the oldest makes room first."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(3, 10.0))
    statuses = []
    for wait in (0.0, 4.0, 4.0, 2.0, 4.0, 3.9):
        await clock.sleep(wait)
        statuses.append(door(sim)("nowhere").status)
    assert statuses == [404, 404, 404, 404, 404, 429]


def test_others_use_up_the_same_limit(clock: VirtualClock, door: Any) -> None:
    """`spend` counts requests that are not seen here."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(10, 10.0))
    sim.spend(0)
    sim.spend(9)
    assert [door(sim)("nowhere").status for _ in range(2)] == [404, 429]
    with pytest.raises(ValueError, match="positive"):
        RateLimit(0)


def test_it_remembers_what_was_asked(sim: BuildsSimulator, door: Any) -> None:
    """Method, path, decoded query, time and answer, oldest first."""
    door(sim)("builds/latest", external_script_ids="a,b")
    door(sim)(f"builds/{UUID}/cancel", method="PUT")
    first, second = sim.requests
    assert (first.method, first.status, first.when) == ("GET", 200, 0.0)
    assert first.path == f"/client/v4/accounts/{sim.account_id}/builds/builds/latest"
    assert first.query == {"external_script_ids": "a,b"}
    assert (second.method, second.status, second.query, second.fault) == ("PUT", 404, {}, None)


def test_a_seed_makes_the_same_ids_again(clock: VirtualClock) -> None:
    """The same calls give the same ids and tokens; without a seed they differ."""

    def made(seed: int | None, requests: int = 0) -> list[str]:
        sim = BuildsSimulator(clock=clock, seed=seed)
        for _ in range(requests):
            sim.answer(Request(target="/"))
        build = sim.add_build()
        tag, version = build.external_script_id, build.version_id
        return [sim.account_id, sim.api_token, build.build_uuid, tag, version]

    assert made(7) == made(7, requests=3)
    assert not set(made(7)) & set(made(8))
    assert not set(made(None)) & set(made(None))


def test_workers_have_names_and_tags(sim: BuildsSimulator) -> None:
    """A name is given once, a tag is 32 hex characters, and nothing is filed under an unknown tag."""
    shop, given = sim.add_worker("shop"), sim.add_worker("blog", tag="0" * 32)
    assert re.fullmatch("[0-9a-f]{32}", shop)
    assert (sim.add_worker("shop"), given) == (shop, "0" * 32)
    sim.add_worker("worker-4")
    assert len({sim.add_worker(), sim.add_worker()}) == 2
    assert dict(sim.workers)["blog"] == given
    with pytest.raises(ValueError, match="another Worker"):
        sim.add_worker("third", tag=given)
    with pytest.raises(ValueError, match="no Worker with the tag 'shop'"):
        sim.add_build(external_script_id="shop")
    with pytest.raises(ValueError, match="page_size"):
        BuildsSimulator(page_size=0)
