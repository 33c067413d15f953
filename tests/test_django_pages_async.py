"""Pages of coroutine functions, and behind asynchronous middleware."""

import asyncio
import time

from django.http import HttpResponse
from django.test import AsyncClient
from django_pages import PAGES, PageTests
from waiting import PATIENCE


async def gathered(count, text):
    """Ask so many times at once."""
    return await asyncio.gather(*(text() for _ in range(count)))


class TestAsync(PageTests):
    def test_is_rendered_once_for_all_tasks(self, site):
        """The others wait, and the loop goes on.

        If one of them held it up, the first could not go on before they lose patience,
        and make pages of their own.
        """
        renders = []

        async def view(_request):
            renders.append(1)
            for _ in range(20):
                await asyncio.sleep(0.01)
            return HttpResponse(str(len(renders)))

        site.show_async(view)
        assert asyncio.run(gathered(20, site.atext)) == ["1"] * 20
        assert renders == [1]

    def test_stale_ones_are_made_anew(self, site, clock):
        """By the region's thread, which has no loop."""
        numbers = iter("123")

        async def view(_request):
            await asyncio.sleep(0)
            return HttpResponse(next(numbers))

        async def until_new():
            assert await site.atext() == "1"
            deadline = time.monotonic() + PATIENCE
            while await site.atext() != "2":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

        site.show_async(view, stale_while_revalidate=20)
        assert asyncio.run(site.atext()) == "1"
        clock.advance(10)
        asyncio.run(until_new())

    def test_a_cancelled_request_keeps_nobody_waiting(self, site):
        """Its visitor has left; the next has his turn."""
        renders, begun = [], asyncio.Event()

        async def view(_request):
            renders.append(1)
            begun.set()
            await asyncio.sleep(60 if len(renders) == 1 else 0)
            return HttpResponse(str(len(renders)))

        async def leave():
            task = asyncio.create_task(site.atext())
            await asyncio.wait_for(begun.wait(), 10)
            task.cancel()
            await asyncio.wait([task])
            return await asyncio.wait_for(site.atext(), 10)

        site.show_async(view)
        assert asyncio.run(leave()) == "2"

    def test_an_error_comes_out(self, site):
        """Unchanged, and the old page is served where there is one."""

        async def view(_request):
            raise ValueError("broken")

        async def status():
            client = AsyncClient(raise_request_exception=False)
            return (await client.get("/async/")).status_code

        site.show_async(view)
        assert asyncio.run(status()) == 500

    def test_middleware(self, site):
        """The same serves both kinds of views under both kinds of servers."""
        from django_project import pages

        renders = []

        async def view(_request):
            renders.append(1)
            return HttpResponse(str(len(renders)))

        site.use(PAGES)
        pages.shown["async"] = view
        assert asyncio.run(gathered(5, site.atext)) == ["1"] * 5
        assert site.text("/async/") == "1"
