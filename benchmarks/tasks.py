"""Texts of small tasks with one right answer each: lines of SOURCE, a tab, TARGET, to train on and to check with.

    python benchmarks/tasks.py add FOLDER

Writes FOLDER/train.txt, and of other lines FOLDER/sources.txt and FOLDER/targets.txt. docs/tasks.md tells the rest.

- add: the sum of two numbers of up to three digits, "123+456" -> "579";
- execute: what a short program prints (after Zaremba & Sutskever 2014), "a=23;b=a*4;print(b-a)" -> "69";
- dates: a date as people write it into the one of ISO 8601, "Friday, March 6th, 1987" -> "1987-03-06".
"""

import argparse
import datetime
import random
from collections.abc import Callable
from pathlib import Path


def add(rng: random.Random) -> tuple[str, str]:
    """Return two numbers and their sum."""
    a, b = rng.randrange(1000), rng.randrange(1000)
    return f"{a}+{b}", str(a + b)


def execute(rng: random.Random) -> tuple[str, str]:
    """Return a program of one to three assignments and what it prints, a number."""
    names, statements = "abc", [f"a={rng.randrange(100)}"]
    for place in range(1, rng.randint(1, 3)):
        statements.append(f"{names[place]}={_expression(rng, names[:place])}")
    expression = _expression(rng, names[: len(statements)])
    values: dict[str, int] = {}
    exec(";".join([*statements, f"result={expression}"]), {}, values)
    return ";".join([*statements, f"print({expression})"]), str(values["result"])


def _expression(rng: random.Random, names: str) -> str:
    """Return a name with one operation on another or on a number; products only by a digit."""
    name, kind = rng.choice(names), rng.randrange(4)
    if kind == 0:
        return f"{name}*{rng.randrange(2, 10)}"
    other = rng.choice(names) if kind == 1 else str(rng.randrange(100))
    if rng.randrange(4) == 0:
        return f"({name}{rng.choice('+-')}{other} if {name}>{rng.randrange(100)} else {rng.randrange(100)})"
    return f"{name}{rng.choice('+-')}{other}"


def dates(rng: random.Random) -> tuple[str, str]:
    """Return a day of 1900 to 2099 in one of many forms, and in that of ISO 8601."""
    day = datetime.date(1900, 1, 1) + datetime.timedelta(rng.randrange(73_049))
    ordinal = f"{day.day}{'th' if 10 < day.day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day.day % 10, 'th')}"
    month, short = day.strftime("%B"), day.strftime("%b")
    forms = (
        f"{month} {day.day}, {day.year}",
        f"{month} {ordinal}, {day.year}",
        f"{day:%A}, {month} {ordinal}, {day.year}",
        f"{day.day} {month} {day.year}",
        f"{day.day} {short} {day.year}",
        f"the {ordinal} of {month} {day.year}",
        f"{short} {day.day} {day.year}",
        f"{day.day}.{day.month}.{day.year}",
        f"{day:%d/%m/%Y}",
        f"{day:%a} {day.day} {short} {day.year}",
    )
    form = rng.choice(forms)
    return rng.choice((form, form, form.lower(), form.upper())), day.isoformat()


TASKS: dict[str, Callable[[random.Random], tuple[str, str]]] = {"add": add, "execute": execute, "dates": dates}


def _whichever_order(source: str) -> str:
    """Return the same for 12+34 and 34+12: whoever has seen one need not add to know the other."""
    return "+".join(sorted(source.split("+")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=500_000, help="lines to train on")
    parser.add_argument("--check", type=int, default=10_000, help="other lines to check with")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    held_out = dict(TASKS[args.task](rng) for _ in range(args.check))
    known = {_whichever_order(source) for source in held_out}
    lines = []
    while len(lines) < args.train:
        source, target = TASKS[args.task](rng)
        if _whichever_order(source) not in known:
            lines.append(f"{source}\t{target}\n")
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "train.txt").write_text("".join(lines))
    (args.folder / "sources.txt").write_text("".join(f"{source}\n" for source in held_out))
    (args.folder / "targets.txt").write_text("".join(f"{target}\n" for target in held_out.values()))
    print(
        f"{args.folder}: {len(lines):,} lines to train on, {len(set(lines)):,} different; {len(held_out):,} to check."
    )


if __name__ == "__main__":
    main()
