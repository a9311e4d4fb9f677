"""The title of a front says the error of its latencies where the table knows one."""

from __future__ import annotations

import dataclasses

import pytest

from nas.report.tables import front_title


@pytest.mark.parametrize("validation", [None, {}, {"mape": None}, {"mape": float("nan")}])
def test_a_table_that_was_not_validated_has_a_title_without_an_error(device, validation):
    unknown = dataclasses.replace(device, header={**device.header, "validation": validation})
    title = front_title(unknown)
    assert title.startswith(f"{device.name} ({device.runtime}): {len(device.front)} Pareto-optimal architecture")
    assert "off by" not in title
    assert front_title(device).startswith(title + ", predicted latency off by")


def test_a_header_without_the_key_is_as_one_that_holds_nothing(device):
    header = {key: value for key, value in device.header.items() if key != "validation"}
    assert "off by" not in front_title(dataclasses.replace(device, header=header), device.members[:1])
