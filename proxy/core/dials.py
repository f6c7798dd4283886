"""The operator's numbers that the core looks at for every job, read once per configuration: plain and native, since
they are wanted often.

Owns which those are. Whoever is given the dials sees at once what a later configuration says.
"""

from proxy.model.scheduling import CoreSettings


class Dials:
    """One per scheduler. Times in seconds."""

    __slots__ = (
        "bulk_backlog_s",
        "bulk_wait_s",
        "chat_price",
        "duty",
        "duty_bulk",
        "duty_interactive",
        "early_error",
        "kv",
        "lines_delay",
        "max_hold_s",
        "min_samples",
        "probe_interval_s",
        "tpot_margin",
        "tries",
        "ttft_margin",
    )

    def __init__(self, settings: CoreSettings) -> None:
        admission, backfill = settings.scheduling.admission, settings.scheduling.backfill
        self.tries = settings.retries.attempts
        """Attempts per job, the first included."""
        self.ttft_margin = admission.ttft_margin
        self.tpot_margin = admission.tpot_margin
        self.duty = admission.duty
        self.duty_interactive = admission.duty_interactive
        self.duty_bulk = admission.duty_bulk
        self.kv = admission.kv
        self.min_samples = admission.min_samples
        """First tokens seen before anything is refused."""
        self.early_error = admission.early_error
        """Mean error relative to the truth up to which fewer are enough."""
        self.max_hold_s = admission.max_hold
        self.bulk_backlog_s = backfill.backlog
        """Prefill queued on a backend up to which bulk is fed to it."""
        self.bulk_wait_s = backfill.max_wait
        self.chat_price = backfill.chat_price
        """Tokens of bulk that are worth as much as one of a chat."""
        self.lines_delay = backfill.lines_delay
        """Share by which first tokens may come later because of lines of batches."""
        self.probe_interval_s = settings.health.probe_interval

    def turn(self, settings: CoreSettings) -> None:
        """To another configuration."""
        new = Dials(settings)
        self.tries, self.min_samples, self.early_error = new.tries, new.min_samples, new.early_error
        self.ttft_margin, self.tpot_margin, self.kv = new.ttft_margin, new.tpot_margin, new.kv
        self.duty, self.duty_interactive, self.duty_bulk = new.duty, new.duty_interactive, new.duty_bulk
        self.max_hold_s, self.probe_interval_s = new.max_hold_s, new.probe_interval_s
        self.bulk_backlog_s, self.bulk_wait_s, self.chat_price = new.bulk_backlog_s, new.bulk_wait_s, new.chat_price
        self.lines_delay = new.lines_delay
