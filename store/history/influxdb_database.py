"""One database of an InfluxDB server: which kind of server it is, where it is written to and asked, made if it is missing.

1.x       /write?db=            database with a retention policy
2.x       /api/v2/write?bucket= bucket with a retention rule, and the mapping by which InfluxQL finds it
3 Core    /api/v2/write?bucket= makes databases by itself; its retention is asked for, if it can
"""

from typing import Any, Final, NamedTuple

import structlog

from domain.errors import StoreError
from store.history.endpoint import Endpoint, MissingError, NotTakenError

_POLICY: Final = "autogen"
_HOUR_S: Final = 3_600

_log = structlog.get_logger()


class Names(NamedTuple):
    """What the site calls things at the server: ``database`` in InfluxQL, ``org`` and ``bucket`` where there are such (2.x, 3)."""

    database: str
    org: str = ""
    bucket: str = ""


class Database:
    """The database in which the readings are. ``days`` is its retention, 0 for ever (or what it has already)."""

    def __init__(self, endpoint: Endpoint, names: Names, days: float) -> None:
        self._endpoint = endpoint
        self._names = names
        self._days = days
        self._major = 0
        self._prepared = False

    @property
    def major(self) -> int:
        """The server's major version. Raises StoreError when it can't be asked."""
        if not self._major:
            reply = self._endpoint.call("GET", "/ping")
            version = reply.headers.get("X-Influxdb-Version", "")
            digits = version.lstrip("v").partition(".")[0]
            if not digits.isdigit():
                raise StoreError(f"{self._endpoint.url} is no InfluxDB: its /ping names no version", refused=True)
            self._major = int(digits)
            _log.info("history: InfluxDB found", url=self._endpoint.url, version=version)
        return self._major

    @property
    def write_to(self) -> tuple[str, dict[str, str]]:
        """Path and query of a request that writes."""
        if self.major == 1:
            return "/write", {"db": self._names.database, "precision": "ms"}
        where = {"bucket": self._names.bucket, "precision": "ms"}
        return "/api/v2/write", {"org": self._names.org, **where} if self._names.org else where

    @property
    def ask(self) -> dict[str, str]:
        """The query of a request that reads, but for its question."""
        return {"db": self._names.bucket if self.major >= 3 else self._names.database}

    def show(self, question: str) -> list[dict[str, Any]]:
        """The rows of a SHOW statement; none where the database is missing."""
        return self._rows("GET", question)

    def prepare(self, *, again: bool = False) -> None:
        """Makes the database if it is missing, with its retention.

        A token that may only read and write is enough where it has been made before. Raises StoreError when the server is down.
        """
        if self._prepared and not again:
            return
        make = {1: self._prepare_1, 2: self._prepare_2}.get(self.major, self._prepare_3)
        try:
            make()
        except NotTakenError as error:
            raise StoreError(f"history: its database can't be made: {error.words}", refused=True) from error
        except StoreError as error:
            if not error.refused:
                raise
            _log.warning("history: not allowed to look after its database; taken as it is", reason=str(error))
        self._prepared = True

    # ── 1.x ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _prepare_1(self) -> None:
        name = _quoted(self._names.database)
        duration = f"{max(1, round(self._days * 24))}h"
        policies = self._rows("GET", f"SHOW RETENTION POLICIES ON {name}")
        if not policies:
            self._rows("POST", f"CREATE DATABASE {name}" + (f" WITH DURATION {duration} NAME {_quoted(_POLICY)}" if self._days else ""))
            _log.info("history: database made", database=self._names.database, days=self._days or "for ever")
            return
        policy = next((policy for policy in policies if policy["default"]), None)
        if policy is not None and self._days and policy["duration"] != f"{duration}0m0s":
            self._rows("POST", f"ALTER RETENTION POLICY {_quoted(policy['name'])} ON {name} DURATION {duration}")
            _log.info("history: retention changed", database=self._names.database, before=policy["duration"], now=duration)

    def _rows(self, method: str, question: str) -> list[dict[str, Any]]:
        document = self._endpoint.document(method, "/query", {**self.ask, "q": question})
        result = document["results"][0] if isinstance(document, dict) and document.get("results") else {}
        error = result.get("error", "") or (document.get("error", "") if isinstance(document, dict) else "")
        if error and "not found" not in error:
            raise StoreError(f"history: {error}")
        return [dict(zip(series["columns"], row, strict=True)) for series in result.get("series", ()) for row in series.get("values", ())]

    # ── 2.x ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _prepare_2(self) -> None:
        org = {"org": self._names.org}
        found = self._list("/api/v2/buckets", {**org, "name": self._names.bucket}, "buckets")
        rules = [{"type": "expire", "everySeconds": max(_HOUR_S, round(self._days * 86_400))}] if self._days else []
        if not found:
            orgs = self._list("/api/v2/orgs", org, "orgs")
            if not orgs:
                raise NotTakenError(
                    404, f"no organisation {self._names.org!r} that the token may look after; site.toml names it, history.org"
                )
            org_id = orgs[0]["id"]
            bucket = self._endpoint.document(
                "POST", "/api/v2/buckets", body={"orgID": org_id, "name": self._names.bucket, "retentionRules": rules}
            )
            _log.info("history: bucket made", bucket=self._names.bucket, days=self._days or "for ever")
        else:
            bucket = found[0]
            before = [rule.get("everySeconds") for rule in bucket.get("retentionRules", ())]
            if rules and before != [rules[0]["everySeconds"]]:
                self._endpoint.document("PATCH", f"/api/v2/buckets/{bucket['id']}", body={"retentionRules": rules})
                _log.info("history: retention changed", bucket=self._names.bucket, before=before, now=rules[0]["everySeconds"])
        self._map_2(bucket)

    def _map_2(self, bucket: dict[str, Any]) -> None:
        """The mapping of a database's name to the bucket, without which InfluxQL finds nothing there."""
        mappings = self._list("/api/v2/dbrps", {"orgID": bucket["orgID"], "db": self._names.database}, "content")
        if not any(mapping.get("bucketID") == bucket["id"] for mapping in mappings):
            self._endpoint.document(
                "POST",
                "/api/v2/dbrps",
                body={
                    "orgID": bucket["orgID"],
                    "bucketID": bucket["id"],
                    "database": self._names.database,
                    "retention_policy": _POLICY,
                    "default": True,
                },
            )

    def _list(self, path: str, query: dict[str, str], key: str) -> list[dict[str, Any]]:
        try:
            document = self._endpoint.document("GET", path, query)
        except MissingError:
            return []
        return list(document.get(key) or [])

    # ── 3 Core ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _prepare_3(self) -> None:
        """Databases come into being by writing; only a retention has to be asked for, of versions that know one."""
        if not self._days:
            return
        try:
            self._endpoint.call(
                "POST",
                "/api/v3/configure/database",
                body={"db": self._names.bucket, "retention_period": f"{max(1, round(self._days))}d"},
                headers={"Content-Type": "application/json"},
            )
        except (MissingError, NotTakenError, StoreError) as error:
            if isinstance(error, StoreError) and not isinstance(error, MissingError) and "409" not in str(error):
                raise
            _log.info("history: retention is as the server has it", reason=str(error))


def _quoted(name: str) -> str:
    """A name in InfluxQL."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
