"""SQL that is written once for all token buckets, and the records that must have each of them."""

import re
from dataclasses import fields

import pytest

from projections.read_models.buckets import beside, for_each_bucket
from projections.read_models.catalog import ROOT, discover
from runledger.events import StepRecorded
from runledger.records import RunRecord, StepView, UsageTotal
from runledger.run import Run
from runledger.usage import COUNTED


def test_a_line_is_repeated_for_each_bucket() -> None:
    sql = "SELECT a,\n    sum(<bucket>) AS <bucket>,\n    <bucket_steps>,\nFROM t"
    assert for_each_bucket(sql, ["x_tokens", "y_tokens"]) == (
        "SELECT a,\n    sum(x_tokens) AS x_tokens,\n    sum(y_tokens) AS y_tokens,\n"
        "    x_steps,\n    y_steps,\nFROM t"
    )


def test_a_line_is_repeated_for_the_buckets_that_add_up() -> None:
    sql = "SELECT 0\n + <disjoint_bucket>\nFROM t"
    assert for_each_bucket(sql, ["x", "y", "z"], ["x", "y"]) == "SELECT 0\n + x\n + y\nFROM t"


def test_a_line_is_repeated_for_the_buckets_of_the_cache() -> None:
    sql = "SELECT 0\n + <cache_bucket_usd>\nFROM t"
    assert for_each_bucket(sql) == "SELECT 0\n + cache_read_usd\n + cache_write_usd\nFROM t"


@pytest.mark.parametrize("bucket", COUNTED)
def test_no_sql_names_a_bucket(bucket: str) -> None:
    for file in ROOT.glob("*/*.sql"):
        lines = file.read_text(encoding="utf-8").splitlines()
        words = re.findall(r"\w+", " ".join(line for line in lines if line[:2] != "--"))
        assert {bucket, *(beside(bucket, what) for what in ("steps", "usd", "flag"))}.isdisjoint(
            words
        ), file


@pytest.mark.parametrize("bucket", COUNTED)
def test_every_bucket_has_its_column_and_its_field(bucket: str) -> None:
    schemas = {model.name: model.schema for model in discover()}
    for name in ("runs", "steps", "usage_totals"):
        assert f"    {bucket} BIGINT" in schemas[name]
    assert f"    {beside(bucket, 'steps')} BIGINT" in schemas["usage_totals"]
    assert f"    {beside(bucket, 'usd')} DECIMAL(38, 12)" in schemas["costs"]
    assert {bucket} <= StepRecorded.model_fields.keys(), "runledger/events.py: StepRecorded"
    assert {bucket} <= RunRecord.model_fields.keys(), "runledger/records.py: RunRecord"
    assert {bucket} <= StepView.model_fields.keys(), "runledger/records.py: StepView"
    assert {bucket} <= UsageTotal.model_fields.keys(), "runledger/records.py: UsageTotal"
    assert bucket in {field.name for field in fields(Run)}, "runledger/run/state.py: Run"
