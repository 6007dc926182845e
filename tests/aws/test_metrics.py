"""The functions log well-formed metrics for CloudWatch, and the sums of the metrics equal those of the receipts."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import FUNCTIONS
from deployed_lake import DeployedLake, running
from deployment import SOURCE, Deployment

METRICS = json.loads((SOURCE / "topology.json").read_text())["metrics"]
# CloudWatch's limits for one line.
METRICS_MAX, VALUES_MAX, DIMENSIONS_MAX = 100, 100, 30
ROWS = {"rows_read": "rows", "rows_kept": "kept", "rows_quarantined": "quarantined"}


@dataclass(frozen=True)
class Measurement:
    """A lake that ingested dirty files, and the log lines of its functions."""

    lake: DeployedLake
    began_ms: float
    logged: dict[str, list[dict]]

    @property
    def lines(self) -> dict[str, list[dict]]:
        """The lines with metrics, by function."""
        return {name: [line for line in lines if "_aws" in line] for name, lines in self.logged.items()}

    def sums(self) -> Counter[str]:
        """Returns the sum over all functions of each metric without a reason."""
        sums: Counter[str] = Counter()
        for line in (line for lines in self.lines.values() for line in lines):
            for directive in line["_aws"]["CloudWatchMetrics"]:
                if [METRICS["dimension"]] in directive["Dimensions"]:
                    sums.update({metric["Name"]: sum(values(line, metric["Name"])) for metric in directive["Metrics"]})
        return sums


@pytest.fixture(scope="module")
def measurement(deployment: Deployment, generate: Callable[..., Path]) -> Iterator[Measurement]:
    """Uploads customers first, motion next and steps last, so that rows of each are kept."""
    landing = generate("--customers", 60, "--dirty")
    began_ms = time.time() * 1000
    with running(deployment) as lake:
        for source in ("customer", "accelerometer", "step_trainer"):
            lake.upload(landing, source)
            lake.wait()
        yield Measurement(lake, began_ms, lake.sources.logged())


def values(line: dict, name: str) -> list[float]:
    value = line[name]
    return value if isinstance(value, list) else [value]


def test_every_invocation_writes_its_metrics_once(measurement: Measurement) -> None:
    invocations = Counter(one.function for one in measurement.lake.sources.handled())
    for name in FUNCTIONS:
        written = [line for line in measurement.lines[name] if "s3_requests" in line]
        assert len(written) == invocations[measurement.lake.deployment.function(name)["function_name"]] > 0, name


def test_lines_are_in_the_embedded_metric_format(measurement: Measurement) -> None:
    now_ms = time.time() * 1000
    for line in (line for lines in measurement.lines.values() for line in lines):
        assert measurement.began_ms - 1 <= line["_aws"]["Timestamp"] <= now_ms, line
        assert line["_aws"]["CloudWatchMetrics"], line
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == METRICS["namespace"]
            assert 0 < len(directive["Metrics"]) <= METRICS_MAX
            for dimensions in directive["Dimensions"]:
                assert METRICS["dimension"] in dimensions and len(dimensions) <= DIMENSIONS_MAX
                assert all(isinstance(line[dimension], str) and line[dimension] for dimension in dimensions), line
            for metric in directive["Metrics"]:
                assert metric["Unit"] == METRICS["names"][metric["Name"]], metric
                found = values(line, metric["Name"])
                assert 0 < len(found) <= VALUES_MAX
                assert all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found), line


def test_every_function_writes_all_metrics(measurement: Measurement) -> None:
    for name in FUNCTIONS:
        written = {metric for line in measurement.lines[name] for metric in METRICS["names"] if metric in line}
        assert written == set(METRICS["names"]), name
        # The dimension is the name on AWS, which separates the metrics of two lakes in one AWS account.
        function_name = measurement.lake.deployment.function(name)["function_name"]
        assert {line[METRICS["dimension"]] for line in measurement.lines[name]} == {function_name}


def test_functions_write_the_metrics_of_alarms_and_dashboard(measurement: Measurement) -> None:
    lines = [line for lines in measurement.lines.values() for line in lines]
    written = {(metric, line[METRICS["dimension"]]) for line in lines for metric in METRICS["names"] if metric in line}
    cloudwatch = measurement.lake.emulator.client("cloudwatch")
    alarms = [
        alarm for page in cloudwatch.get_paginator("describe_alarms").paginate() for alarm in page["MetricAlarms"]
    ]
    queries = [query["MetricStat"]["Metric"] for alarm in alarms for query in alarm["Metrics"] if "MetricStat" in query]
    assert {query["Namespace"] for query in queries} == {METRICS["namespace"]}
    watched = {(query["MetricName"], only_dimension(query)) for query in queries}
    (dashboard,) = cloudwatch.list_dashboards()["DashboardEntries"]
    body = json.loads(cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"])
    for series in (series for widget in body["widgets"] for series in widget["properties"].get("metrics", [])):
        if series[0] == METRICS["namespace"]:
            _, metric, dimension, function_name, *_ = series
            assert dimension == METRICS["dimension"]
            watched.add((metric, function_name))
    assert len(watched) > len(METRICS["names"]) and watched <= written, watched - written


def only_dimension(metric: dict) -> str:
    (dimension,) = metric["Dimensions"]
    assert dimension["Name"] == METRICS["dimension"]
    return dimension["Value"]


@pytest.mark.parametrize("metric", ROWS)
def test_row_metrics_equal_the_receipts(measurement: Measurement, metric: str) -> None:
    expected = sum(receipt[ROWS[metric]] for receipt in measurement.lake.receipts())
    assert measurement.sums()[metric] == expected > 0


def test_excluded_rows_by_reason_equal_the_receipts(measurement: Measurement) -> None:
    expected: Counter[str] = Counter()
    for receipt in measurement.lake.receipts():
        expected.update(receipt["excluded"])
    assert measurement.sums()["rows_excluded"] == expected.total() > 0
    by_reason: Counter[str] = Counter()
    for line in (line for lines in measurement.lines.values() for line in lines):
        for directive in line["_aws"]["CloudWatchMetrics"]:
            if [METRICS["dimension"], METRICS["reason_dimension"]] in directive["Dimensions"]:
                assert [metric["Name"] for metric in directive["Metrics"]] == ["rows_excluded"]
                by_reason[line[METRICS["reason_dimension"]]] += line["rows_excluded"]
    assert by_reason == expected


def test_objects_written_equal_the_versions_in_the_bucket(measurement: Measurement) -> None:
    pages = measurement.lake.s3.get_paginator("list_object_versions").paginate(Bucket=measurement.lake.bucket)
    keys = [version["Key"] for page in pages for version in page["Versions"]]
    assert measurement.sums()["objects_written"] == sum("/landing/" not in key for key in keys)


def test_requests_are_counted(measurement: Measurement) -> None:
    sums = measurement.sums()
    assert sums["s3_requests"] > sums["objects_written"]
    registering = {
        name
        for name in FUNCTIONS
        if any(sum(values(line, "glue_requests")) for line in measurement.lines[name] if "glue_requests" in line)
    }
    topology = json.loads((SOURCE / "topology.json").read_text())["functions"]
    assert registering == {name for name in FUNCTIONS if topology[name]["registers_partitions"]}
    # The emulator does not throttle.
    assert sums["retries"] == 0


def test_no_event_is_older_than_the_test(measurement: Measurement) -> None:
    ages = [
        age
        for lines in measurement.lines.values()
        for line in lines
        if "event_age" in line
        for age in values(line, "event_age")
    ]
    assert ages and all(0 <= age <= time.time() * 1000 - measurement.began_ms for age in ages)
