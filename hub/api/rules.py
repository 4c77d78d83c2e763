"""``/rules``: read and change rules, run one over history, run users' tests of rules."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from fastapi import APIRouter, Response

from hub.api.auth import ChangingCaller, RequiredCaller, SeenParts
from hub.api.changes import note
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.requests import NumberedPlace, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Page, ProblemItem
from hub.api.schemas_rules import (
    BacktestAnswer,
    BacktestRequest,
    CheckAnswer,
    CheckedTest,
    CheckRequest,
    FiringInterval,
    RuleTable,
    RuleTables,
    RuleView,
    SubjectFired,
)
from hub.api.times import iso, iso_or_none, parse_time
from hub.nodes.callers import Caller
from hub.rules.backtest import Backtest, BacktestError, backtest
from hub.rules.book import NoSuchRule, RuleBook, RuleShipped
from hub.rules.check import parse_tests, run_test
from hub.rules.files import Entry, check_tables
from hub.rules.saying import summary
from hub.store.select import glob_matcher
from wire.errors import SettingsError
from wire.point import NS_PER_S

router = APIRouter(tags=["rules and alerts"])

_log: Final = structlog.get_logger("hub.api")


@router.get("/rules")
async def list_rules(
    parts: PartsOf, caller: RequiredCaller, limit: PageLimit = 100, page: PageCursor = None
) -> Page[RuleView]:
    """All rules, those that come with iothub first; who sees some nodes only gets those that name no others."""
    start = from_cursor(page, NumberedPlace).number if page is not None else 0
    return _listed(_book(parts), caller, limit, start)


@router.put("/rules")
async def replace_rules(wanted: RuleTables, parts: PartsOf, caller: ChangingCaller) -> Page[RuleView]:
    """Make these the rules of the file. Rules that come with iothub stay, and are not written where nothing changed."""
    book = _book(parts)
    await _changed(lambda: book.replace_all(wanted.rules))
    await note(parts, caller, "rules replaced", "all", rules=sorted(wanted.rules))
    return _listed(book, caller)


@router.post("/rules/test")
async def run_backtest(wanted: BacktestRequest, parts: SeenParts, caller: RequiredCaller) -> BacktestAnswer:
    """Run a rule over stored history: how often it would have fired, when, how long."""
    now_ns = parts.clock_ns()
    start_ns, stop_ns = _moment("start", wanted.start, now_ns), _moment("stop", wanted.stop, now_ns)
    if start_ns >= stop_ns:
        raise wrong_parameter("body.start", "must lie before stop")
    if wanted.rule is None:
        entry = _entry(_book(parts), wanted.name, caller)
    else:
        entry = _checked({wanted.name: wanted.rule})[wanted.name]
    groups = await parts.registry.groups()
    try:
        found = await backtest(
            parts.store,
            wanted.name,
            entry.rule,
            start_ns=start_ns,
            stop_ns=stop_ns,
            groups_of=lambda node: groups.get(node, frozenset()),
            node=wanted.node,
        )
    except BacktestError as error:
        raise ProblemError(422, f"{wanted.name}: {error}.", kind="no-history") from error
    return _answer(wanted.name, found)


@router.post("/rules/check")
async def check_rules(wanted: CheckRequest, parts: PartsOf, caller: RequiredCaller) -> CheckAnswer:
    """Check rules, and run tests of them over made-up series; nothing is stored."""
    entries = _book(parts).entries if wanted.rules is None else _checked(wanted.rules)
    entries = {name: entry for name, entry in entries.items() if wanted.rules is not None or _concerns(entry, caller)}
    try:
        tests = parse_tests({"tests": wanted.tests})
    except SettingsError as error:
        raise wrong_rules(error) from error
    # A line of text may stand for a million samples: elsewhere, so that nobody waits for it.
    results = await asyncio.to_thread(lambda: [run_test(test, entries) for test in tests])
    shown = [CheckedTest(name=r.name, rule=r.rule, passed=not r.faults, faults=list(r.faults)) for r in results]
    failed = sum(bool(result.faults) for result in results)
    return CheckAnswer(passed=len(shown) - failed, failed=failed, tests=shown)


@router.post("/rules/reload")
async def reload_rules(parts: PartsOf, caller: ChangingCaller) -> Page[RuleView]:
    """Take what the rules file says now, after it was edited by hand."""
    book = _book(parts)
    await _changed(book.reload)
    await note(parts, caller, "rules reloaded", "all")
    return _listed(book, caller)


@router.get("/rules/{name}")
async def show_rule(name: str, parts: PartsOf, caller: RequiredCaller) -> RuleView:
    """One rule."""
    return _view(name, _entry(_book(parts), name, caller))


@router.put("/rules/{name}")
async def put_rule(name: str, table: RuleTable, parts: PartsOf, caller: ChangingCaller) -> RuleView:
    """Store a rule; in force at once. Of a rule that comes with iothub, keys alone may be given, without a metric."""
    book = _book(parts)
    await _changed(lambda: book.put(name, table))
    await note(parts, caller, "rule stored", name, rule=table)
    return _view(name, _entry(book, name, caller))


@router.delete("/rules/{name}", status_code=204)
async def remove_rule(name: str, parts: PartsOf, caller: ChangingCaller) -> Response:
    """Remove a rule from the file. One that comes with iothub is as it came again; to stop it, set enabled to false."""
    book = _book(parts)
    try:
        await _changed(lambda: book.remove(name))
    except NoSuchRule as error:
        raise _no_such_rule(name) from error
    except RuleShipped as error:
        raise ProblemError(
            409, f"Rule {name} comes with iothub: switch it off with enabled = false instead.", kind="rule-shipped"
        ) from error
    await note(parts, caller, "rule removed", name)
    return Response(status_code=204)


def wrong_rules(error: SettingsError) -> ProblemError:
    """Answer 422 with every fault of the rules."""
    items = [ProblemItem(where=f"{p.file}:{p.line}" if p.line else p.key, message=str(p)) for p in error.problems]
    more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    return ProblemError(422, f"{items[0].message}{more}", kind="rules", errors=items)


# -- private -----------------------------------------------------------------------------------------------------------


def _book(parts: Parts) -> RuleBook:
    if parts.alerting is None:
        raise ProblemError(503, "This hub watches no rules.", kind="no-rules")
    return parts.alerting.rules


def _listed(book: RuleBook, caller: Caller, limit: int = 100, start: int = 0) -> Page[RuleView]:
    entries = [(name, entry) for name, entry in book.entries.items() if _concerns(entry, caller)]
    following = to_cursor(NumberedPlace(start + limit)) if len(entries) > start + limit else None
    shown = [_view(name, entry) for name, entry in entries[start : start + limit]]
    return Page(items=shown, next=following, total=len(entries))


def _entry(book: RuleBook, name: str, caller: Caller) -> Entry:
    entry = book.entries.get(name)
    if entry is None or not _concerns(entry, caller):
        raise _no_such_rule(name)
    return entry


def _concerns(entry: Entry, caller: Caller) -> bool:
    """Whether each of its patterns matches a node that the caller sees: the others name nodes of others."""
    if caller.nodes is None:
        return True
    return all(glob == "*" or any(map(glob_matcher(glob), caller.nodes)) for glob in entry.rule.nodes)


def _no_such_rule(name: str) -> ProblemError:
    return ProblemError(404, f"There is no rule {name[:64]!r}; GET rules lists those that there are.", kind="no-rule")


async def _changed(change: Callable[[], None] | Callable[[], Entry]) -> None:
    """Carry a change out, or say what is wrong with it."""
    try:
        change()
    except SettingsError as error:
        raise wrong_rules(error) from error
    except OSError as error:
        raise ProblemError(
            503,
            f"The rules file cannot be written: {error.strerror or error}; the rules are as they were.",
            kind="state",
        ) from error


def _checked(tables: dict[str, RuleTable]) -> dict[str, Entry]:
    try:
        return check_tables(tables)
    except SettingsError as error:
        raise wrong_rules(error) from error


def _moment(name: str, text: str, now_ns: int) -> int:
    try:
        return parse_time(text, now_ns)
    except ValueError as error:
        raise wrong_parameter(f"body.{name}", str(error)) from error


def _view(name: str, entry: Entry) -> RuleView:
    return RuleView(
        name=name,
        source=entry.source.value,
        enabled=entry.rule.enabled,
        asks=summary(entry.rule),
        rule=dict(entry.table),
    )


def _answer(name: str, found: Backtest) -> BacktestAnswer:
    told = found.intervals
    return BacktestAnswer(
        name=name,
        start=iso(found.start_ns),
        stop=iso(found.stop_ns),
        samples=found.samples,
        fired=told.fired.total(),
        firing_s=told.firing_ns.total() / NS_PER_S,
        cancelled=told.cancelled,
        subjects=[
            SubjectFired(
                node=subject.node, series=subject.series, fired=fired, firing_s=told.firing_ns[subject] / NS_PER_S
            )
            for subject, fired in told.fired.most_common()
        ],
        intervals=[
            FiringInterval(
                node=each.subject.node,
                series=each.subject.series,
                start=iso(each.start_ns),
                stop=iso_or_none(each.stop_ns),
                severity=each.severity.value,
                value=each.value,
                message=each.message,
            )
            for each in told.kept
        ],
    )
