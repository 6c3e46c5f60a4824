"""`plum-desktop demo`: the main job on invented chats."""

from __future__ import annotations

import click

from plum_desktop.base.errors import PlumError
from plum_desktop.cli.session import Session, duration, emit, json_option, pass_session


@click.command()
@click.option("--seed", type=click.IntRange(min=0), help="Invent the same chats again.")
@json_option
@pass_session
def demo(session: Session, seed: int | None, as_json: bool) -> None:
    """Invent chats, ask about them, learn them, ask again, export.

    Your own chats are not touched: it works in a folder of its own.
    """
    from plum_desktop.app.demo import FLOOR, run_demo
    from plum_desktop.cli.learn import display

    def say(text: str) -> None:
        if not as_json:
            click.echo(text)

    with display(as_json) as show:
        result = run_demo(session.folder, seed, say, show)
    rows = [
        {
            "question": answer.question.text,
            "right": answer.question.right,
            "before": answer.before,
            "after": answer.after,
            "looked_up": answer.looked_up,
            "right_before": answer.right_before,
            "right_after": answer.right_after,
            "right_looked_up": answer.right_looked_up,
        }
        for answer in result.answers
    ]
    if as_json:
        emit({
            "event": "result",
            "seed": result.seed,
            "before": round(result.before, 4),
            "after": round(result.after, 4),
            "looked_up": round(result.looked_up, 4),
            "floor": FLOOR,
            "passed": result.passed,
            "outcome": result.outcome.message,
            "answers": rows,
            "exports": [str(path) for path in result.exports],
            "seconds": round(result.seconds, 1),
        })  # fmt: skip
    else:
        yes = [answer for answer in result.answers if answer.question.right == "yes"]
        no = [answer for answer in result.answers if answer.question.right == "no"]
        click.echo(
            f"\nRight answers: {result.before:.0%} before, {result.after:.0%} after by heart "
            f"(yes {sum(a.right_after for a in yes)} of {len(yes)}, "
            f"no {sum(a.right_after for a in no)} of {len(no)}), {result.looked_up:.0%} looked up "
            f"too, in {duration(result.seconds)}."
        )
    if result.outcome.state != "done":
        raise PlumError(
            "The demo ended without anything learned: {why} `plum-desktop demo --seed {seed}` "
            "repeats it.",
            why=result.outcome.message,
            seed=result.seed,
        )
    if not result.passed:
        raise PlumError(
            "The demo fell short: {after:.0%} right where {floor:.0%} was to be reached; "
            "`plum-desktop demo --seed {seed}` repeats it.",
            after=result.after,
            floor=FLOOR,
            seed=result.seed,
        )
