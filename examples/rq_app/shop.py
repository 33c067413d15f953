"""What web process and worker share: a region, and what it caches.

``REDIS_URL`` says where RQ's queue and the values are. The worker imports this module
as its settings, and so knows what it is asked for.
"""

import os
import time

from holdover import RqRunner, make_region

REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")

weather = make_region("weather").configure(
    REDIS_URL,
    2,
    codec="json",
    runner=RqRunner(REDIS_URL, queue="refresh"),
    orders={"per_second": 50, "burst": 100},
)


@weather.cache_on_arguments()
def report(city: str) -> list[str | int]:
    time.sleep(0.5)  # stands for a slow service
    return [f"{city} at {time.strftime('%H:%M:%S')}: light rain", os.getpid()]
