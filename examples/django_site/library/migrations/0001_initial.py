"""The articles."""

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The first one."""

    initial = True
    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="Article",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("path", models.CharField(max_length=200, unique=True)),
                ("summary", models.CharField(max_length=300)),
                ("source", models.TextField(editable=False)),
                ("lines", models.PositiveIntegerField(editable=False)),
                (
                    "edited_at",
                    models.DateTimeField(db_index=True, editable=False, null=True),
                ),
            ],
            options={"ordering": ("path",)},
        ),
    ]
