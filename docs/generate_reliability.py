"""Write the table of docs/reliability.md from what `make soak` counted.

python docs/generate_reliability.py soak.jsonl
"""

import json
import platform
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import safetensors
import tensorflow as tf

PAGE = Path(__file__).with_name("reliability.md")
BEGIN, END = "<!-- begin: written by make soak -->\n", "<!-- end -->\n"
COUNTED = ("injected", "landed", "failures")


def table(records: list[dict]) -> str:
    """Return a Markdown table: a row for each test, its parameters taken together."""
    rows: dict[tuple[int, str], dict] = defaultdict(lambda: dict.fromkeys((*COUNTED, "seconds"), 0))
    for record in records:
        test = record["test"].rpartition("::")[2].partition("[")[0].removeprefix("test_").replace("_", " ")
        row = rows[record["promise"], test]
        for name in row:
            row[name] += record[name]
    lines = ["| promise | test | injected | landed | failures | seconds |", "|---|---|---|---|---|---|"]
    for (promise, test), row in sorted(rows.items()):
        counts = " | ".join(f"{row[name]:,}" for name in COUNTED)
        lines.append(f"| {promise} | {test} | {counts} | {row['seconds']:,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    records = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, TensorFlow {tf.__version__}"
    versions += f", safetensors {safetensors.__version__}"
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    failed = sum(record["failures"] for record in records)
    said = f"{platform.system()}, {versions}: {len(records)} tests, {failed} failures.\n\n"
    PAGE.write_text(before + BEGIN + said + table(records) + END + after)


if __name__ == "__main__":
    main()
