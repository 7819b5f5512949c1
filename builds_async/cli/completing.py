"""Finds what can follow on a command line, for the completion scripts of the shells.

The scripts know nothing about the commands: they ask `builds-async __complete WORD...`, where the last word
is the one to complete. Nothing is requested from the API: the names of Workers come from the cache.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, get_args
from zoneinfo import available_timezones

import cyclopts
from cyclopts import ArgumentCollection
from cyclopts.argument import Argument

from builds_async.cli.cache import Cache
from builds_async.cli.commands import COMMANDS

FILES: Final = ":files"
"""The line that makes the shell complete the name of a file."""

_FILE_OPTIONS = frozenset({"--resume", "--token-file", "--report", "--exec"})
_MAX_HELP = 70


class Candidate(NamedTuple):
    """One word that can stand at the cursor."""

    word: str
    help: str = ""


def complete(app: cyclopts.App, words: Sequence[str]) -> list[str]:
    """The lines to print for the words of a command line: a candidate and, after a tab, its help."""
    *before, current = _joined(words) or [""]
    found = list(_candidates(app, before, current))
    if any(it.word == FILES for it in found):
        return [FILES]
    # bash takes `=` for a word of its own, and completes what follows it.
    cut = len(current.partition("=")[0]) + 1 if "=" in words[-2:] else 0
    matching = (it for it in found if it.word.startswith(current))
    return [f"{it.word[cut:]}\t{it.help}" if it.help else it.word[cut:] for it in matching]


def _candidates(app: cyclopts.App, before: Sequence[str], current: str) -> Iterator[Candidate]:
    command = next((word for word in before if not word.startswith("-")), None)
    if command is None:
        if current.startswith("-"):
            yield from (Candidate("--help", "Show the help."), Candidate("--version", "Show the version."))
        else:
            yield from (Candidate(name, help_.summary) for name, help_ in COMMANDS.items())
    elif command in COMMANDS:
        arguments = app[command].assemble_argument_collection()
        yield from _of_command(command, arguments, before[before.index(command) + 1 :], current)


def _of_command(
    command: str, arguments: ArgumentCollection, before: Sequence[str], current: str
) -> Iterator[Candidate]:
    options = {name: it for it in arguments if it.show for name in it.names if name.startswith("-")}
    name, separator, _ = current.partition("=")
    if separator and name in options:
        values = _values(name, options[name])
        yield from (it if it.word == FILES else Candidate(f"{name}={it.word}") for it in values)
    elif before and before[-1] in options and not _is_flag(options[before[-1]]):
        yield from _values(before[-1], options[before[-1]])
    elif current.startswith("-"):
        # cyclopts lists negations that the app turns off.
        yield from (
            Candidate(name, _help(it))
            for name, it in options.items()
            if name not in it.negatives or name in (it.parameter.negative or ())
        )
    else:
        yield from _positional(command, arguments, before, current)


def _positional(
    command: str, arguments: ArgumentCollection, before: Sequence[str], current: str
) -> Iterator[Candidate]:
    for argument in arguments:
        if not argument.names[0].startswith(("-", "*")) and (choices := argument.get_choices()):
            yield from map(Candidate, choices)
    meant = COMMANDS[command].arguments
    cache = _cache(before)
    if cache is None:
        return
    if "WORKER" in meant:
        yield from map(Candidate, cache.workers)
    if "BUILD" in meant and current:
        yield from (Candidate(uuid) for uuid in cache.builds_starting_with(current.lower()))


def _values(name: str, option: Argument) -> Iterator[Candidate]:
    if name in _FILE_OPTIONS:
        yield Candidate(FILES)
    elif name == "--timezone":
        yield from map(Candidate, sorted(available_timezones()))
    else:
        yield from map(Candidate, option.get_choices() or ())


def _cache(words: Sequence[str]) -> Cache | None:
    """The cache of the account that the words or the environment name."""
    account = os.environ.get("CLOUDFLARE_ACCOUNT_ID")
    for word, following in pairwise((*words, "")):
        if word == "--account-id":
            account = following
        elif word.startswith("--account-id="):
            account = word.partition("=")[2]
    return Cache.of_account(account.strip()) if account else None


def _is_flag(option: Argument) -> bool:
    return bool in (option.hint, *get_args(option.hint))


def _help(option: Argument) -> str:
    text = option.parameter.help or ""
    sentence = text.split(". ")[0].split(": ")[0].removesuffix(".")
    return sentence if len(sentence) <= _MAX_HELP else f"{sentence[: _MAX_HELP - 3]}..."


def _joined(words: Iterable[str]) -> list[str]:
    """The words as other shells split them: bash makes `=` a word of its own."""
    made: list[str] = []
    for word in words:
        if made and (word == "=" or made[-1].endswith("=")) and made[-1].startswith("--"):
            made[-1] += word
        else:
            made.append(word)
    return made
