"""``keepwarm report``: a month, a quarter or a season as a workbook, a PDF or JSON."""

import sys
from pathlib import Path

import click

from domain.clock import Clock
from domain.errors import ConfigError, Mistake
from keepwarm.exchange import stores_of
from keepwarm.output_file import OutFile, check_writable, write_whole
from keepwarm.processes import site_argument

ENDINGS = {".json": "json", ".xlsx": "xlsx", ".pdf": "pdf"}


@click.command()
@site_argument
@click.option("--period", required=True, help="A month (2026-11), a quarter (2026-Q4) or a heating season (2026-2027).")
@click.option("--format", "form", type=click.Choice(tuple(ENDINGS.values())), help="By default that of --out's ending, else json.")
@click.option("--out", type=OutFile(), help="A file; without it JSON goes to standard output.")
@click.option("--area", default="", help="Only a district (district/NAME) or a station (station/ID) of the site.")
def report(folder: Path, period: str, form: str | None, out: Path | None, area: str) -> None:
    """The report of SITE on a period: indicators with numerator, denominator and coverage, worst buildings, outages and their duties,
    curves, water, complaints. The same stored data give the same report; it names the hash of its inputs, the policy and the software.
    """
    from compliance.report.document import build_report
    from compliance.report.period import parse_period
    from dashboard.report.files import WRITERS
    from store.records import records_of
    from store.site_folder import load_site

    site = load_site(folder)
    if out is not None:
        check_writable(out)
    form = form or ENDINGS.get(out.suffix.lower() if out else ".json")
    if form is None:
        raise ConfigError(Mistake("--out", f"a name that ends in {', '.join(ENDINGS)}, or --format", value=str(out)))
    if out is None and form != "json" and sys.stdout.isatty():
        raise ConfigError(Mistake("--out", f"a file is needed for {form}; only JSON goes to a terminal"))
    now_ms = Clock.load(site.data / "clock.json").now_ms()
    asked = parse_period(period, site.policy, site.timezone, now_ms)
    with records_of(site) as records, stores_of(site) as stores:
        document = build_report(site, records, (stores.history, stores.journal, stores.points), asked, now_ms, area)
    content = WRITERS[form](document)
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        write_whole(out, content)
        click.echo(f"{out}: {site.name} {asked.name}, inputs {document['report']['inputs_sha256'][:12]}", err=True)
