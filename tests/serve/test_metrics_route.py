from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from served import Topics

from potstill.data.example import Prediction
from potstill.serve import Answer


class Paid:
    async def answer(self, model, value, prediction):
        return Answer(Prediction("card"), "teacher", "teacher", 0.25)

    async def close(self):
        pass


def samples(call):
    text = call("/metrics").body.decode()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_what_is_counted(start):
    call = start(Topics(), fallbacks={"topics": Paid()})
    path = "/v1/models/topics/predict"
    call(path, {"inputs": ["a card", "a loan", "a long loan", "unsure"]})
    call(path, {"input": "please raise"})
    call(path, b"{")
    found = samples(call)

    def value(name, **labels):
        return found[name, tuple(sorted(labels.items()))]

    route = "/v1/models/{name}/predict"
    assert value("potstill_requests_total", route=route, model="topics", status="200") == 1
    assert value("potstill_requests_total", route=route, model="topics", status="500") == 1
    assert value("potstill_requests_total", route=route, model="", status="400") == 1
    assert value("potstill_request_seconds_count", route=route, model="topics") == 2
    assert value("potstill_answers_total", model="topics", label="loan", by="workflow") == 2
    assert value("potstill_answers_total", model="topics", label="card", by="teacher") == 1
    assert (
        value("potstill_deferred_total", model="topics", reason="unsure", fallback="teacher") == 1
    )
    assert value("potstill_cost_usd_total", model="topics", by="teacher") == 0.25
    assert value("potstill_confidence_count", model="topics") == 4
    assert value("potstill_truncated_total", model="topics") == 1
    assert value("potstill_failed_total", model="topics") == 1
    assert value("potstill_queue_seconds_count", model="topics") == 5
    assert value("potstill_group_texts_count", model="topics") == 5
    assert value("potstill_model", model="topics", version="a" * 12) == 1
    assert value("potstill_workers") == 2
    assert value("potstill_queue_texts") == 0
    assert value("process_resident_memory_bytes") > 1e7


def test_paths_of_strangers_make_no_series(start):
    call = start()
    for number in range(20):
        call(f"/nowhere/{number}")
    routes = {dict(labels).get("route") for name, labels in samples(call)}
    assert not any(route and "nowhere" in route for route in routes)
