"""The table of runs, and the permissions to see regions, which have no table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Creates `ScheduleRun`, and makes `Region` known."""

    initial = True
    dependencies = ()
    operations = [
        migrations.CreateModel(
            name="ScheduleRun",
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
                ("region", models.CharField(max_length=200, verbose_name="region")),
                ("name", models.CharField(max_length=200, verbose_name="schedule")),
                ("due_at", models.DateTimeField(verbose_name="due")),
                ("started_at", models.DateTimeField(verbose_name="started")),
                ("ended_at", models.DateTimeField(verbose_name="ended")),
                (
                    "outcome",
                    models.CharField(
                        choices=[("ok", "ok"), ("failed", "failed")],
                        max_length=10,
                        verbose_name="outcome",
                    ),
                ),
                ("value", models.TextField(blank=True, verbose_name="value")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("details", models.TextField(blank=True, verbose_name="details")),
                ("payload", models.BinaryField(null=True)),
            ],
            options={
                "verbose_name": "run of a schedule",
                "verbose_name_plural": "runs of schedules",
                "ordering": ("-id",),
                "indexes": [
                    models.Index(
                        fields=["region", "name", "-id"], name="holdover_run_newest"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Region",
            fields=[
                (
                    "name",
                    models.CharField(max_length=255, primary_key=True, serialize=False),
                ),
            ],
            options={
                "verbose_name": "region",
                "verbose_name_plural": "regions",
                "managed": False,
                "default_permissions": ("view", "change"),
            },
        ),
    ]
