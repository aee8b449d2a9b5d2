"""``keepwarm simulate SCENARIO``: the outside world alone, for a site that is run beside it."""

from pathlib import Path

import click

from keepwarm.demo_town import DemoTown, clock_path, kept_town, new_town, passwords, set_clock
from keepwarm.guard import end_with_parent
from keepwarm.logs import log_to
from keepwarm.processes import only_one, run_until_signal


@click.command()
@click.argument("scenario")
@click.option(
    "--site", "folder", type=click.Path(path_type=Path),
    help="Site folder to write, or to go on with; left out: one named after the scenario, here.",
)  # fmt: skip
@click.option("--speed", type=click.FloatRange(0, 10_000, min_open=True), default=1.0, show_default=True, help="How much faster than life.")
@click.option("--supervised", is_flag=True, hidden=True)
def simulate(scenario: str, folder: Path | None, *, speed: float, supervised: bool) -> None:
    """Plays SCENARIO: stations, room sensors and a broker on loopback, and the site folder that `keepwarm run` collects them by."""
    from domain.clock import Clock
    from simulators.simulate import run_simulate

    if supervised:
        end_with_parent()
    folder = folder or Path(f"{Path(scenario).stem}-site")
    data = folder / "data"
    new_town(scenario, 0)  # a scenario that there is not is refused before anything is made for it
    log_to(data / "logs" / "simulate.log" if supervised else None)
    with only_one(data / "health" / "simulate.lock", "keepwarm simulate"):
        words = passwords()
        town = kept_town(data) or _begin(scenario, folder, speed, words)
        clock = Clock.load(clock_path(folder))
        run_until_signal(
            lambda stop: run_simulate(
                folder, clock, scenario, town.ports, stop, start_ms=town.start_ms, seed=town.seed, data=data, environment=words
            )
        )


def _begin(scenario: str, folder: Path, speed: float, words: dict[str, str]) -> DemoTown:
    """A new town that begins now, and a line on how to run the site."""
    from domain.clock import Clock
    from domain.site import Site

    town = new_town(scenario, Clock().now_ms())
    town.write(folder, Site.dashboard_port)
    set_clock(folder, town.start_ms, speed, held_s=0.0)
    told = " ".join(f"{name}={word}" for name, word in words.items())
    click.echo(f"collect it with: {told} keepwarm run {folder}")
    return town
