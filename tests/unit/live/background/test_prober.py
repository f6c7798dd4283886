"""Probes: what is told of an engine, who it is, and that another one behind its URL is noticed."""

import asyncio
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from proxy.config.schema import Config
from proxy.core.cache.versions import Versions
from proxy.engines.routes import labels
from proxy.live.background.prober import Prober
from proxy.live.background.warmer import Warmer
from proxy.live.catalogue import ModelList
from proxy.live.driver import Driver
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.abilities import PLAIN, Traits
from proxy.model.commands import Identified, Load, Probed, Restarted
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind
from proxy.model.limits import HealthSettings, UpstreamLimits
from tests.support.route_engine import RouteEngine, listed, model, route_engine

OLLAMA = listed(model("mike/mario:7b", "mike"), model("llama3.2:latest", "mike"))


class Bed:
    """A prober before one engine, and what it told."""

    def __init__(
        self, engine: RouteEngine, kind: str = "auto", *, identifies: bool = False, versions: Versions | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        config = Config.model_validate({"version": 1, "backends": [{"url": engine.url, "name": "e", "kind": kind}]})
        (self.backend,) = backends.build(config, loop, Watch(loop, monotonic)).values()
        self.told: list[Any] = []
        self.described: list[str] = []
        driver = cast(Driver, SimpleNamespace(report=self.told.append))
        models = cast(ModelList, SimpleNamespace(learn=self._describe))
        self._prober = Prober(
            self.backend,
            driver,
            models,
            HealthSettings(),
            UpstreamLimits(),
            loop,
            identifies=identifies,
            versions=versions,
        )
        self.engine = engine

    def _describe(self, entries: list[dict[str, Any]]) -> None:
        self.described = [entry["id"] for entry in entries]

    async def probe(self, models: Any = None) -> list[Any]:
        if models is not None:
            self.engine.routes["/v1/models"] = models
        self.told.clear()
        await self._prober.probe()
        return list(self.told)

    def hurry(self) -> None:
        """Wait no longer than a moment."""
        self._prober._health = HealthSettings(probe_timeout=0.2)

    @property
    def kind(self) -> str:
        return self.backend.dialect.kind


@pytest.fixture
async def bed() -> Any:
    async with route_engine({}) as engine:
        bed = Bed(engine)
        yield bed
        bed.backend.pool.close()


async def test_names_contexts_and_traits(bed: Bed) -> None:
    strict = Traits(counts_answer=True)
    told = await bed.probe(listed(model("m", max_model_len=2048), model("n")))
    assert told == [
        Probed(
            "e", True, frozenset({"m", "n"}), contexts={"m": 2048}, traits=strict, kind="vllm", routes=labels("vllm")
        )
    ]
    assert (bed.kind, bed.described) == ("vllm", ["m", "n"])


async def test_models_in_memory_of_an_engine_that_holds_some(bed: Bed) -> None:
    some = [model(n, "llamacpp", status={"value": v}) for n, v in (("a", "loaded"), ("b", "sleeping"))]
    told = await bed.probe(listed(*some))
    assert bed.kind == "llama_cpp"
    assert told[1:] == [Load("e", loaded=frozenset({"a"}))]


OLLAMA_TRAITS = Traits(loose_names=True, no_arrays=frozenset({Endpoint.COMPLETIONS}))


async def test_an_ollama_whose_models_are_of_other_namespaces(bed: Bed) -> None:
    bed.engine.routes["/api/version"] = {"version": "0.33.0"}
    told = await bed.probe(OLLAMA)
    names = frozenset({"mike/mario:7b", "llama3.2:latest"})
    ollama = Probed("e", True, names, traits=OLLAMA_TRAITS, kind="ollama", routes=labels("ollama"))
    assert told == [Probed("e", True, names, traits=PLAIN, kind="", routes=labels("")), ollama]
    assert bed.kind == "ollama"
    assert await bed.probe() == [ollama]
    assert bed.engine.asked["/api/version"] == 1, "asked once"


async def test_names_with_tags_alone_are_no_ollama(bed: Bed) -> None:
    await bed.probe(OLLAMA)
    assert bed.kind == "openai"
    await bed.probe()
    assert bed.engine.asked["/api/version"] == 1


async def test_transformers_that_cannot_list_its_models(bed: Bed) -> None:
    paths = dict.fromkeys(["/load_model", "/reset", "/v1/chat/completions"], 0)
    bed.engine.routes["/openapi.json"] = {"openapi": "3.1.0", "paths": paths}
    told = await bed.probe((500, "Internal Server Error"))
    assert {(report.ok, report.models) for report in told} == {(True, None)}
    assert bed.kind == "transformers"
    assert not bed.backend.dialect.says_done


async def test_another_engine_behind_the_url(bed: Bed) -> None:
    await bed.probe(listed(model("m", "vllm")))
    assert await bed.probe((503, "")) == [Probed("e", ok=False)]
    assert await bed.probe(listed(model("m", "sglang"))) == [
        Restarted("e"),
        Probed("e", True, frozenset({"m"}), traits=Traits(counts_answer=True), kind="sglang", routes=labels("sglang")),
    ]
    assert bed.kind == "sglang"


async def test_another_engine_without_a_pause_is_believed_the_second_time(bed: Bed) -> None:
    for owner, kind in (("vllm", "vllm"), ("somebody", "openai"), ("vllm", "vllm"), ("somebody", "openai")):
        before = bed.kind
        told = await bed.probe(listed(model("m", owner)))
        assert (bed.kind, Restarted("e") in told) == (kind if before == "openai" else before, False)
        told = await bed.probe()
        assert bed.kind == kind
        assert (Restarted("e") in told) is (before == "vllm")
    assert told[-1] == Probed("e", True, frozenset({"m"}), traits=PLAIN, kind="", routes=labels(""))


async def test_a_url_that_leads_to_several_engines_in_turns(bed: Bed) -> None:
    for owner in ("vllm", "sglang") * 5:
        told = await bed.probe(listed(model("m", owner)))
        assert bed.kind == "vllm"
        assert Restarted("e") not in told


async def test_a_sign_that_does_not_come_is_asked_for_again(bed: Bed) -> None:
    async def hangs(_: web.Request) -> web.Response:
        await asyncio.sleep(30.0)
        return web.Response()

    bed.engine.routes["/api/version"] = hangs
    bed.hurry()
    await bed.probe(OLLAMA)
    assert bed.kind == "openai"
    bed.engine.routes["/api/version"] = {"version": "0.33.0"}
    await bed.probe()
    assert bed.kind == "ollama"


async def test_an_engine_without_models_is_still_who_it_was(bed: Bed) -> None:
    await bed.probe(listed(model("llama3:8b", "library")))
    for _ in range(3):
        await bed.probe(listed())
    assert bed.kind == "ollama"


async def test_a_kind_that_is_written_down_stays() -> None:
    async with route_engine({"/v1/models": listed(model("m", "vllm"))}) as engine:
        bed = Bed(engine, "sglang")
        await bed.probe()
        assert bed.kind == "sglang"


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_not_now(bed: Bed, status: int) -> None:
    assert await bed.probe((status, "loading")) == [Probed("e", ok=False)]


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_whoever_answers_is_alive(bed: Bed, status: int) -> None:
    (told,) = await bed.probe((status, ""))
    assert (told.ok, told.models) == (True, None)


async def test_nothing_listens(bed: Bed) -> None:
    await bed.probe(listed(model("m")))
    await bed.engine.stop()
    (told,) = await bed.probe()
    assert (told.ok, told.reached) == (False, False)
    assert told.fault is not None
    assert told.fault.kind is Kind.CONNECT


async def test_after_a_failure_it_is_asked_for_more_again(bed: Bed) -> None:
    await bed.probe(OLLAMA)
    await bed.probe((503, ""))
    bed.engine.routes["/api/version"] = {"version": "0.33.0"}
    await bed.probe(OLLAMA)
    assert bed.kind == "ollama"


async def test_a_long_list_is_read_and_an_absurd_one_is_not(bed: Bed) -> None:
    (told,) = await bed.probe(listed(*(model(f"adapter-{n}") for n in range(15_000))))
    assert len(told.models) == len(bed.described) == 8192
    (told,) = await bed.probe(listed(*(model("m" * 400 + str(n)) for n in range(15_000))))
    assert (told.ok, told.models) == (True, None)


VLLM = listed(model("m", "vllm"))


async def identities(engine: RouteEngine, models: Any, times: int = 1) -> list[str]:
    """As new proxies find them out."""
    bed = Bed(engine, identifies=True)
    told = [report for _ in range(times) for report in await bed.probe(models)]
    return [report.engine for report in told if isinstance(report, Identified)]


async def test_it_is_identified_once_and_each_time_in_the_same_way() -> None:
    async with route_engine({"/version": {"version": "0.33.0"}}) as engine:
        first, second = await identities(engine, VLLM, 3), await identities(engine, VLLM, 2)
        assert len(first) == 1
        assert first == second
        assert engine.asked["/version"] == 2
        engine.routes["/version"] = {"version": "0.34.0"}
        assert await identities(engine, VLLM) != first
        engine.routes["/version"] = {"version": "0.33.0"}
        assert await identities(engine, listed(model("other", "vllm"))) != first
        assert await identities(engine, VLLM) == first


async def test_who_was_away_may_be_another_one() -> None:
    async with route_engine({"/version": {"version": "1"}}) as engine:
        bed = Bed(engine, identifies=True)
        (first,) = [r for r in await bed.probe(VLLM) if isinstance(r, Identified)]
        await bed.probe((503, ""))
        engine.routes["/version"] = {"version": "2"}
        (second,) = [r for r in await bed.probe(VLLM) if isinstance(r, Identified)]
        assert first != second


async def test_a_version_that_does_not_come_is_asked_for_again() -> None:
    async def hangs(_: web.Request) -> web.Response:
        await asyncio.sleep(30.0)
        return web.Response()

    async with route_engine({"/version": hangs}) as engine:
        bed = Bed(engine, identifies=True)
        bed.hurry()
        assert [type(report) for report in await bed.probe(VLLM)] == [Probed]
        engine.routes["/version"] = {"version": "1"}
        assert Identified in map(type, await bed.probe())


async def test_nobody_wants_to_know_it(bed: Bed) -> None:
    assert Identified not in map(type, await bed.probe(VLLM))
    assert bed.engine.asked["/version"] == 0


async def test_an_engine_that_tells_nothing_is_identified_too(bed: Bed) -> None:
    async with route_engine({}) as engine:
        assert len(await identities(engine, (404, ""))) == 1


async def test_ollama_is_identified_when_it_is_recognised() -> None:
    async with route_engine({"/api/version": {"version": "0.33.0"}}) as engine:
        (first,) = await identities(engine, OLLAMA)
        engine.routes["/api/version"] = {"version": "0.34.0"}
        assert await identities(engine, OLLAMA) != [first]


async def test_weights_that_change_under_a_name_that_stays() -> None:
    async with route_engine({}) as engine:
        versions = Versions()
        bed = Bed(engine, versions=versions)
        await bed.probe(listed(model("m", root="/a", max_model_len=2048)))
        first = versions.stamp("m")
        await bed.probe(listed(model("m", root="/a", max_model_len=2048)))
        assert versions.stamp("m") == first
        await bed.probe(listed(model("m", root="/b", max_model_len=2048)))
        assert versions.stamp("m") != first
        bed.backend.pool.close()


async def test_where_the_list_does_not_tell_the_engine_is_asked() -> None:
    async with route_engine({}) as engine:
        versions = Versions()
        bed = Bed(engine, "ollama", versions=versions)
        stamps = set()
        for digest in ("d1", "d1", "d2"):
            engine.routes["/api/tags"] = {"models": [{"name": "llama3.2:latest", "digest": digest}]}
            await bed.probe(OLLAMA)
            stamps.add(versions.stamp("llama3.2"))
        assert len(stamps) == 2
        bed.backend.pool.close()


class Warmed:
    """In place of the warmer: what it was asked to warm, and whether the backend was said to be there by then."""

    def __init__(self, told: list[Any]) -> None:
        self.asked: list[tuple[list[str], bool]] = []
        self.loaded: frozenset[str] = frozenset()
        self._told = told

    async def in_memory(self, backend: Any, source: Any, models: frozenset[str]) -> frozenset[str]:
        return models & self.loaded

    async def warm(self, backend: Any, models: Any) -> None:
        self.asked.append((sorted(models), any(isinstance(report, Probed) for report in self._told)))


async def test_models_are_warmed_before_they_are_told_of_when_new_of_new_weights_or_back(bed: Bed) -> None:
    warmed = Warmed(bed.told)
    bed._prober._warmer = cast(Warmer, warmed)
    await bed.probe(listed(model("m", root="a")))
    await bed.probe(listed(model("m", root="a")))
    await bed.probe(listed(model("m", root="a"), model("n")))
    await bed.probe(listed(model("m", root="b"), model("n")))
    assert warmed.asked == [(["m"], False), (["n"], False), (["m"], False)]
    await bed.probe((503, "loading"))
    await bed.probe(listed(model("m", root="b"), model("n")))
    assert warmed.asked[3:] == [(["m", "n"], False)]


async def test_no_model_is_loaded_to_be_warmed(bed: Bed) -> None:
    """Ollama lists all that are on its disk: asked for prompts, it would load one after the other."""
    warmed = Warmed(bed.told)
    bed._prober._warmer = cast(Warmer, warmed)
    there = listed(model("m:latest", "library"), model("n:latest", "library"))
    await bed.probe(there)
    assert warmed.asked == []
    for loaded in (["m:latest"], ["m:latest"], ["n:latest"], ["m:latest"]):
        warmed.loaded = frozenset(loaded)
        await bed.probe(there)
    assert [names for names, _ in warmed.asked] == [["m:latest"], ["n:latest"], ["m:latest"]], "when it is loaded"


async def test_models_that_a_router_has_not_loaded_are_not_warmed(bed: Bed) -> None:
    warmed = Warmed(bed.told)
    warmed.loaded = frozenset({"a", "b"})
    bed._prober._warmer = cast(Warmer, warmed)
    states = {"a": "loaded", "b": "unloaded"}
    await bed.probe(listed(*(model(name, "llamacpp", status={"value": state}) for name, state in states.items())))
    assert [names for names, _ in warmed.asked] == [["a"]]


async def test_an_engine_is_warmed_when_it_is_known_which_one_it_is(bed: Bed) -> None:
    warmed = Warmed(bed.told)
    bed._prober._warmer = cast(Warmer, warmed)
    bed.engine.routes["/api/version"] = {"version": "0.33.0"}
    for _ in range(3):
        await bed.probe(OLLAMA)
    assert (bed.kind, warmed.asked) == ("ollama", [])
    del bed.engine.routes["/api/version"]


async def test_what_costs_a_token_is_asked_seldom_until_it_is_said_to_be_unwell(bed: Bed) -> None:
    bed.engine.routes["/health"] = (200, "")
    await bed.probe(listed(model("m", "sglang")))  # not known yet
    for _ in range(3):
        assert (await bed.probe())[-1].ok
    assert bed.engine.asked["/health"] == 1
    bed.engine.routes["/health"] = (503, "")
    bed._prober._health_at = 0.0
    for _ in range(2):
        assert await bed.probe() == [Probed("e", ok=False)]
    assert bed.engine.asked["/health"] == 3
    bed.engine.routes["/health"] = (200, "")
    assert (await bed.probe())[-1].ok
