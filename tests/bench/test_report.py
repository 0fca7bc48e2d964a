from collections.abc import Awaitable, Callable

from bench.report import bench_lines, cell, table
from bench.rounds import interleaved, middle


def test_a_table_is_markdown_with_numbers_to_the_right() -> None:
    shown = table(["way", "CPU %"], [["ours", 0.12345], ["a peer", 123.4], ["none", None]])

    assert shown.splitlines() == [
        "| way    | CPU % |",
        "| ------ | ----: |",
        "| ours   | 0.123 |",
        "| a peer |   123 |",
        "| none   |     - |",
    ]


def test_cells_keep_words_and_counts_as_they_are() -> None:
    assert [cell("skipped"), cell(19_800), cell(0.0), cell(12.34)] == [
        "skipped",
        "19800",
        "0",
        "12.3",
    ]


def test_numbers_come_one_a_line() -> None:
    assert bench_lines({"a_vs_b": 0.4567, "lost": 0}) == "bench a_vs_b 0.457\nbench lost 0"


async def test_cases_take_turns() -> None:
    order: list[str] = []

    def case(name: str) -> Callable[[], Awaitable[int]]:
        async def run() -> int:
            order.append(name)
            return len(order)

        return run

    results = await interleaved({"a": case("a"), "b": case("b")}, rounds=2)

    assert order == ["a", "b", "a", "b"]
    assert results == {"a": [1, 3], "b": [2, 4]}
    assert await interleaved({"c": case("c")}, rounds=3, begin_within=-1) == {"c": [5]}, "too late"
    costly = await interleaved(
        {"d": case("d"), "e": case("e")}, rounds=3, end_within=-1, rare={"e"}
    )
    assert {name: len(runs) for name, runs in costly.items()} == {"d": 3, "e": 1}
    assert len((await interleaved({"f": case("f")}, rounds=2, rare={"f"}))["f"]) == 2


def test_the_middle_of_three_runs_ignores_the_one_that_was_disturbed() -> None:
    assert middle([3.0, 90.0, 2.0], lambda run: run) == 3.0
