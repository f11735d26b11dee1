from __future__ import annotations

from served import Fielded, Topics, registry_of

from potstill.serve import layout


def test_cores_of_a_quota(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "cores", lambda: 8)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(layout, "_QUOTA", quota)
    assert layout.cores_in_quota() == 8
    for content, expected in (("max 100000", 8), ("250000 100000", 2), ("10000 100000", 1)):
        quota.write_text(content, encoding="utf-8")
        assert layout.cores_in_quota() == expected


def test_fewer_threads_than_cores_only_where_they_answer_more(monkeypatch):
    monkeypatch.setattr(layout, "cores_in_quota", lambda: 8)
    rates = {4: 105.0, 8: 100.0}
    monkeypatch.setattr(layout, "texts_per_s", lambda servable, value, count, seconds: rates[count])
    assert layout.choose_workers(registry_of(Topics())) == 8
    rates[4] = 150.0
    assert layout.choose_workers(registry_of(Fielded())) == 4
    assert layout.choose_workers(registry_of()) == 8


def test_texts_are_counted():
    slow = Topics(ms=5)
    one = layout.texts_per_s(slow, "a card", 1, 0.1)
    four = layout.texts_per_s(slow, "a card", 4, 0.1)
    assert 50 < one < 200
    assert four > 2 * one
