"""The dials of admission, read once: they are wanted for every job, and pydantic's models read slowly."""

from proxy.model.scheduling import AdmissionSettings


class Margins:
    """Those of `AdmissionSettings` that limit a job."""

    __slots__ = ("duty", "duty_bulk", "duty_interactive", "kv", "tpot", "ttft")

    def __init__(self, settings: AdmissionSettings) -> None:
        self.duty = settings.duty
        self.duty_interactive = settings.duty_interactive
        self.duty_bulk = settings.duty_bulk
        self.kv = settings.kv
        self.ttft = settings.ttft_margin
        self.tpot = settings.tpot_margin
