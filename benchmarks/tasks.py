"""Texts of small tasks with one right answer each: lines of SOURCE, a tab, TARGET, to train on and to check with.

    python benchmarks/tasks.py add FOLDER

Writes FOLDER/train.txt, and of other lines FOLDER/sources.txt and FOLDER/targets.txt. docs/tasks.md tells the rest.

- add: the sum of two numbers of up to three digits, "123+456" -> "579";
- execute: what a short program prints (after Zaremba & Sutskever 2014), "a=23;b=a*4;print(b-a)" -> "69";
- dates: a date as people write it into the one of ISO 8601, "Friday, March 6th, 1987" -> "1987-03-06";
- reverse: 1 to 30 random letters, from the last to the first, "charrnn" -> "nnrrahc"; reverse-longer: 31 to 40;
- numbers: a number below 10,000 in English words, "1234" -> "one thousand, two hundred and thirty-four";
- french: the same number in English and in French words, "twelve" -> "douze";
- parse: an expression of up to 20 symbols in prefix form (after Vinyals et al. 2015), "a+b*c" -> "(+ a (* b c))".

numbers and french need the package num2words.
"""

import argparse
import ast
import datetime
import random
import string
from collections.abc import Callable
from functools import partial
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


def reverse(rng: random.Random, least: int = 1, most: int = 30) -> tuple[str, str]:
    """Return random letters, and the same from the last to the first."""
    letters = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(least, most)))
    return letters, letters[::-1]


def numbers(rng: random.Random) -> tuple[str, str]:
    """Return a number below 10,000, and its English name."""
    from num2words import num2words

    number = rng.randrange(10_000)
    return str(number), num2words(number)


def french(rng: random.Random) -> tuple[str, str]:
    """Return the English and the French name of a number below 10,000."""
    from num2words import num2words

    number = rng.randrange(10_000)
    return num2words(number), num2words(number, lang="fr")


# The longest expression, in symbols; and the precedence of each operator, which binds to the left (but ^ to the right).
SYMBOLS = 20
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^"}


def parse(rng: random.Random) -> tuple[str, str]:
    """Return an expression of names and operators, and its tree, which Python's own grammar finds."""
    while len(expression := _arithmetic(rng, rng.randint(2, 4))) > SYMBOLS:
        pass
    return expression, _prefix(ast.parse(expression.replace("^", "**"), mode="eval").body)


def _arithmetic(rng: random.Random, depth: int) -> str:
    """Return a random expression; brackets are where the drawn tree has them or not, as it happens."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice("abcdefgh")
    left, right = _arithmetic(rng, depth - 1), _arithmetic(rng, depth - 1)
    whole = f"{left}{rng.choice('+-*/^')}{right}"
    return f"({whole})" if rng.random() < 0.3 else whole


def _prefix(tree: ast.expr) -> str:
    """Return a tree in prefix form."""
    if isinstance(tree, ast.BinOp):
        return f"({OPERATORS[type(tree.op)]} {_prefix(tree.left)} {_prefix(tree.right)})"
    assert isinstance(tree, ast.Name)
    return tree.id


TASKS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "add": add,
    "execute": execute,
    "dates": dates,
    "reverse": reverse,
    "reverse-longer": partial(reverse, least=31, most=40),
    "numbers": numbers,
    "french": french,
    "parse": parse,
}


def _known_as(task: str, source: str) -> str:
    """Return the same for 12+34 and 34+12: whoever has seen one need not add to know the other."""
    return "+".join(sorted(source.split("+"))) if task == "add" else source


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
    known = {_known_as(args.task, source) for source in held_out}
    lines = []
    while len(lines) < args.train:
        source, target = TASKS[args.task](rng)
        if _known_as(args.task, source) not in known:
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
