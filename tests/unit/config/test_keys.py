"""Unknown keys: where they belong, and what others call what is here."""

import pytest

from proxy.config.keys import FOREIGN, unknown_key_hint
from proxy.config.options import OptionPath, all_options
from proxy.config.schema import Config

CLASS: OptionPath = ("classes", 0)
BACKEND: OptionPath = ("backends", 3)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ((*CLASS, "ttft"), "it belongs below slo"),
        ((*CLASS, "pace"), "it belongs below stream"),
        ((*CLASS, "preset"), "it belongs below slo"),
        (("duty",), "it belongs below routing.admission"),
        (("routing", "mode"), "it belongs below admission or windows"),
        (("ca_file",), "it belongs below backends.tls"),
        (("limits", "eject_max"), "it belongs below health"),
        (("limits", "answer_buffer"), "it belongs below upstream"),
        (("routing", "listen"), "it belongs at the top of the file"),
        (("limits", "stall"), "it belongs below body"),
        (("health", "idle"), "it belongs below backends or realtime or limits.connections or limits.upstream"),
        # spelt otherwise: it is meant here
        ((*BACKEND, "max-concurrency"), 'did you mean "max_concurrency"?'),
        ((*BACKEND, "maxConcurrency"), 'did you mean "max_concurrency"?'),
        (("LISTEN",), 'did you mean "listen"?'),
        (("damin",), 'did you mean "admin"?'),
        (("drian",), 'did you mean "drain"?'),
        ((*BACKEND, "wieghtt"), ""),
        ((*BACKEND, "poool"), 'did you mean "pool"?'),
        # said otherwise elsewhere
        (("model_list",), "here it is called backends"),
        ((*BACKEND, "api_base"), "here it is called url"),
        ((*BACKEND, "API-Base"), "here it is called url"),
        ((*BACKEND, "timeout"), "here it is called first_byte"),
        (("port",), "here it is called listen"),
        ((*BACKEND, "weight"), "shares follow from what each backend is predicted to do: leave it out"),
        # glued
        ((*BACKEND, "url:http://a"), "write a space after the colon"),
        ((*BACKEND, "-url"), "write a space after the dash"),
        (("drain", "xyzzy"), "known here: readiness, streams"),
        (("nowhere", "at", "all"), ""),
    ],
)
def test_what_a_key_may_stand_for(path: OptionPath, hint: str) -> None:
    assert unknown_key_hint(path) == hint


def test_every_word_of_others_leads_to_an_option() -> None:
    known = {".".join(option.path).replace(".[]", "[]") for option in all_options(Config)}
    for group, words in FOREIGN.items():
        for word, target in words.items():
            whole = target if not group else ".".join(group).replace(".[]", "[]") + "." + target
            assert whole in known, (group, word, target)
            assert word not in {option.path[-1] for option in all_options(Config) if option.path[:-1] == group}
