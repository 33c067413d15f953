"""What web process and worker share: a Celery app, a region, and what it caches.

``REDIS_URL`` says where broker and values are; RabbitMQ would do for the broker.
"""

import os
import time

from celery import Celery

from holdover import CeleryRunner, make_region

REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")

app = Celery("shop", broker=REDIS_URL)

weather = make_region("weather").configure(
    REDIS_URL,
    2,
    codec="json",
    runner=CeleryRunner(app),
    orders={"per_second": 50, "burst": 100},
)


@weather.cache_on_arguments()
def report(city: str) -> list[str | int]:
    time.sleep(0.5)  # stands for a slow service
    return [f"{city} at {time.strftime('%H:%M:%S')}: light rain", os.getpid()]
