"""Stale pages are made anew by the workers of a queue."""

import os

from fleet_workers import application, worker
from http_shop import ask
from waiting import wait_until


def test_a_worker_makes_pages_anew(tmp_path, redis_server, monkeypatch):
    """It imports the module that makes the middleware, and knows no visitor."""
    monkeypatch.setenv("FLEET_WEB", str(os.getpid()))
    fields = {"Accept-Language": "de"}
    with (
        application(tmp_path, redis_server, module="http_fleet") as web,
        worker(tmp_path, "threads", app="http_fleet") as process,
    ):
        mine = str(os.getpid())
        assert ask(web.site, fields=fields).text == mine
        assert ask(web.site, fields={**fields, "Cookie": "id=7"}).text == mine
        wait_until(lambda: ask(web.site, fields=fields).text != mine)
        reply = ask(web.site, fields=fields)
        assert (reply.text, reply["Age"]) == (str(process.pid), "0")
        from fleet_notes import notes

        assert notes("made") == [
            [os.getpid(), ["HTTP_ACCEPT_LANGUAGE", "HTTP_HOST"]],
            [process.pid, ["HTTP_ACCEPT_LANGUAGE", "HTTP_HOST"]],
        ]
